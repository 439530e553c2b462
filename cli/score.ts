import { WeirError } from '#schemas/errors.ts'
import type { ScoreOptions } from './commands/score.ts'
import type { CommandContext } from './context.ts'

export async function runScore(_context: CommandContext, _file: string, _options: ScoreOptions): Promise<number> {
  throw new WeirError('NOT_AVAILABLE', 'the body of `weir score` is not wired yet')
}
