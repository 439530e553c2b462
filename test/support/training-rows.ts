import type { FeatureColumn, FeatureLayout } from '#models/feature-buffers.ts'
import { SeededRandom } from '#models/lstm/seeded-random.ts'
import type { TrainingSet } from '#models/lstm/train.ts'

export function layoutOf(historyLength: number, historyWidth: number, currentWidth: number): FeatureLayout {
  const columns = (prefix: string, count: number): FeatureColumn[] =>
    Array.from({ length: count }, (_, i) => ({ name: `${prefix}_${i}`, group: 'amount_habit', unit: 'number' }))
  return {
    specName: 'made-up',
    specHash: '0'.repeat(64),
    historyLength,
    historyWidth,
    historyColumns: columns('history', historyWidth),
    currentWidth,
    currentColumns: columns('current', currentWidth),
  }
}

/**
 * Rows whose truth lies in the order of the history alone: fraud is a small event (about 1) followed at once by a large
 * one (about 100) at the very end; genuine rows end in any other pair. Lengths run from 0 to K; histories under two
 * events are genuine. The current vector is noise, column 1 a rare flag.
 */
export function orderedPairRows(count: number, layout: FeatureLayout, seed: number): TrainingSet {
  const random = new SeededRandom(seed)
  const { historyLength, historyWidth, currentWidth } = layout
  const set: TrainingSet = {
    layout,
    count,
    history: new Float32Array(count * historyLength * historyWidth),
    historyLength: new Int32Array(count),
    current: new Float32Array(count * currentWidth),
    label: new Uint8Array(count),
    weight: new Float32Array(count).fill(1),
    eventTimeMs: Float64Array.from({ length: count }, (_, i) => i * 60_000),
    nextLogAmount: new Float32Array(count),
    nextLogGapMs: new Float32Array(count),
  }
  for (let row = 0; row < count; row++) {
    const length = Math.floor(random.next() * (historyLength + 1))
    set.historyLength[row] = length
    let before = ''
    let last = ''
    for (let step = historyLength - length; step < historyLength; step++) {
      before = last
      last = random.next() < 0.5 ? 'small' : 'large'
      const at = (row * historyLength + step) * historyWidth
      set.history[at] = (last === 'small' ? 1 : 100) + random.next()
      for (let column = 1; column < historyWidth; column++) set.history[at + column] = random.next() * 10 - 5
    }
    set.label[row] = before === 'small' && last === 'large' ? 1 : 0
    for (let column = 0; column < currentWidth; column++) {
      set.current[row * currentWidth + column] = column === 1 ? Number(random.next() < 0.02) : random.next() * 1000
    }
    set.nextLogAmount[row] = last === '' ? Number.NaN : last === 'small' ? 1 : 4
    set.nextLogGapMs[row] = length === 0 ? Number.NaN : 1000 * (1 + random.next())
  }
  return set
}
