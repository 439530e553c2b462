import { WeirError } from '#schemas/errors.ts'
import type { ReplayOptions } from './commands/replay.ts'
import type { CommandContext } from './context.ts'

export async function runReplay(_context: CommandContext, _options: ReplayOptions): Promise<number> {
  throw new WeirError('NOT_AVAILABLE', 'the body of `weir replay` is not wired yet')
}
