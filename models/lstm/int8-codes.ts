import { GATES, type LstmParameters, type LstmShape } from './weights.ts'

/** The recurrence's weights as 8-bit integers: `[P + units, 3 units]`, and of each column what a code of 1 stands for. */
export interface RecurrenceCodes {
  readonly codes: Int8Array
  readonly scales: Float32Array
}

/**
 * Largest code of a weight: 7 bits, because the 8-bit multiply of CPUs without VNNI adds two products in 16 bits, and
 * 2 * 255 * 64 is the most that fits there. So every CPU gives the same sums.
 */
const WEIGHT_CODE_MAX = 64

/** @param projectionMax `[P]`: what the recurrence reads of the projection is divided by it, and its kernel multiplied */
export function encodeRecurrence(
  { lstmKernel, lstmRecurrent }: Pick<LstmParameters, 'lstmKernel' | 'lstmRecurrent'>,
  { projectionUnits, units }: LstmShape,
  projectionMax: Float32Array,
): RecurrenceCodes {
  const columns = GATES * units
  const weights = new Float32Array((projectionUnits + units) * columns)
  for (let i = 0; i < lstmKernel.length; i++) weights[i] = lstmKernel[i]! * projectionMax[(i / columns) | 0]!
  weights.set(lstmRecurrent, lstmKernel.length)
  const scales = new Float32Array(columns)
  for (let i = 0; i < weights.length; i++) {
    scales[i % columns] = Math.max(scales[i % columns]!, Math.abs(weights[i]!) / WEIGHT_CODE_MAX)
  }
  for (let column = 0; column < columns; column++) if (scales[column] === 0) scales[column] = 1
  const codes = new Int8Array(weights.length)
  for (let i = 0; i < weights.length; i++) codes[i] = Math.round(weights[i]! / scales[i % columns]!)
  return { codes, scales }
}

/** The weights that the codes of these stand for. */
export function roundRecurrence(
  parameters: Pick<LstmParameters, 'lstmKernel' | 'lstmRecurrent'>,
  shape: LstmShape,
  projectionMax: Float32Array,
): Pick<LstmParameters, 'lstmKernel' | 'lstmRecurrent'> {
  const { codes, scales } = encodeRecurrence(parameters, shape, projectionMax)
  const columns = GATES * shape.units
  const end = shape.projectionUnits * columns
  const weight = (i: number): number => codes[i]! * scales[i % columns]!
  return {
    lstmKernel: Float32Array.from({ length: end }, (_, i) => weight(i) / projectionMax[(i / columns) | 0]!),
    lstmRecurrent: Float32Array.from({ length: codes.length - end }, (_, i) => weight(end + i)),
  }
}
