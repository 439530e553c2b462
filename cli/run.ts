import { WeirError } from '#schemas/errors.ts'
import type { RunOptions } from './commands/run.ts'
import type { CommandContext } from './context.ts'

export async function runService(_context: CommandContext, _options: RunOptions): Promise<number> {
  throw new WeirError('NOT_AVAILABLE', 'the body of `weir run` is not wired yet')
}
