import { type ChildProcess, fork } from 'node:child_process'
import { childModule } from '#infra/assets.ts'
import { WeirError } from '#schemas/errors.ts'
import type { LoadCommand, LoadOrder, LoadReport } from './kafka-load-order.ts'

/** The process that makes the load. */
export class KafkaLoad {
  made = 0
  acked = 0
  readonly pid: number
  private readonly child: ChildProcess
  private readonly over: Promise<void>
  private watchers: (() => void)[] = []
  private isOver = false

  private constructor(order: LoadOrder) {
    const { file, execArgv } = childModule('test/bench/kafka-load')
    this.child = fork(file, [JSON.stringify(order)], {
      execArgv: [...execArgv],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    this.pid = this.child.pid!
    this.child.on('message', (report: LoadReport) => {
      this.made = report.made
      this.acked = report.acked
      this.isOver = report.isOver
      this.wake()
    })
    this.over = new Promise((resolve) => {
      this.child.once('exit', () => {
        resolve()
        this.wake()
      })
    })
  }

  /** Ready to send when this resolves; it sends nothing yet. */
  static async start(order: LoadOrder): Promise<KafkaLoad> {
    const load = new KafkaLoad(order)
    await load.report()
    return load
  }

  /** @param eventsPerSecond from now on, until so many were made in all */
  send(eventsPerSecond: number, upTo = Number.MAX_SAFE_INTEGER): void {
    this.order({ rate: eventsPerSecond, upTo })
  }

  /** Resolves when the brokers have confirmed so many. */
  async reached(acked: number): Promise<void> {
    while (this.acked < acked) await this.report()
  }

  /** Sends what was begun, and ends. */
  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    this.order({ stop: true })
    while (!this.isOver) await this.report()
    await this.over
  }

  kill(): void {
    this.child.kill('SIGKILL')
  }

  private order(command: LoadCommand): void {
    this.child.send(command)
  }

  private async report(): Promise<void> {
    await new Promise<void>((resolve) => this.watchers.push(resolve))
    if (!this.isOver && (this.child.exitCode !== null || this.child.signalCode !== null)) {
      throw new WeirError('NOT_AVAILABLE', 'the process that makes the load has ended')
    }
  }

  private wake(): void {
    for (const watcher of this.watchers.splice(0)) watcher()
  }
}
