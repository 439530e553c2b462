import { WeirError } from '#schemas/errors.ts'
import type { RetrainOptions } from './commands/retrain.ts'
import type { CommandContext } from './context.ts'

export async function runRetrain(_context: CommandContext, _options: RetrainOptions): Promise<number> {
  throw new WeirError('NOT_AVAILABLE', 'the body of `weir retrain` is not wired yet')
}
