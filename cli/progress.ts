import type { SingleBar } from 'cli-progress'
import type { Io } from './io.ts'

/** Tells how far long work has come. */
export interface Progress {
  /** `done` of the total; the note (a rate, a loss) stands beside it. */
  update(done: number, note?: string): void
  /** The last word; calls after it do nothing. */
  finish(note?: string): void
}

export interface ProgressOptions {
  /** What is being done, in a word or two. */
  readonly title: string
  readonly total: number
  /** What is counted: events, rows, batches. */
  readonly unit: string
  /** Nothing is told. */
  readonly isSilent: boolean
}

const LINE_EVERY_MS = 5_000
const BAR_FRAMES_PER_SECOND = 8

/** A bar on a terminal, a plain line every few seconds elsewhere; always on stderr. */
export async function createProgress(io: Io, options: ProgressOptions): Promise<Progress> {
  if (options.isSilent) return { update() {}, finish() {} }
  return io.isErrTerminal ? await createBar(options) : createLines(io, options)
}

async function createBar({ title, total, unit }: ProgressOptions): Promise<Progress> {
  // cli-progress is CommonJS: its parts hang on the default export.
  const { default: cliProgress } = await import('cli-progress')
  const bar: SingleBar = new cliProgress.SingleBar({
    format: `${title} {bar} {percentage}% | {value}/{total} ${unit} | {eta_formatted} left {note}`,
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: false,
    fps: BAR_FRAMES_PER_SECOND,
    formatValue: (value, _options, type) =>
      type === 'value' || type === 'total' ? value.toLocaleString('en') : String(value),
  })
  bar.start(total, 0, { note: '' })
  let isFinished = false
  return {
    update(done, note) {
      if (!isFinished) bar.update(Math.min(done, total), note === undefined ? {} : { note: `| ${note}` })
    },
    finish(note) {
      if (isFinished) return
      isFinished = true
      if (note !== undefined) bar.update({ note: `| ${note}` })
      bar.stop()
    },
  }
}

function createLines(io: Io, { title, total, unit }: ProgressOptions): Progress {
  let lastMs = io.now()
  let last = 0
  let isFinished = false
  let isTold = false
  const tell = (done: number, note: string | undefined): void => {
    const share = total > 0 ? `, ${Math.floor((100 * done) / total)} %` : ''
    const counted =
      total > 0 ? `${done.toLocaleString('en')} of ${total.toLocaleString('en')}` : done.toLocaleString('en')
    io.err(`${title}: ${counted} ${unit}${share}${note === undefined ? '' : `, ${note}`}\n`)
  }
  return {
    update(done, note) {
      last = done
      if (isFinished || io.now() - lastMs < LINE_EVERY_MS) return
      lastMs = io.now()
      isTold = true
      tell(done, note)
    },
    finish(note) {
      if (isFinished) return
      isFinished = true
      // Short work needs no words.
      if (isTold) tell(last, note ?? 'done')
    },
  }
}
