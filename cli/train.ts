import { WeirError } from '#schemas/errors.ts'
import type { TrainOptions } from './commands/train.ts'
import type { CommandContext } from './context.ts'

export async function runTrain(_context: CommandContext, _options: TrainOptions): Promise<number> {
  throw new WeirError('NOT_AVAILABLE', 'the body of `weir train` is not wired yet')
}
