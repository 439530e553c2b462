import { WeirError } from '#schemas/errors.ts'
import type { SimulateOptions } from '../commands/simulate.ts'
import type { CommandContext } from '../context.ts'

export async function simulateIntoPath(_context: CommandContext, _options: SimulateOptions): Promise<number> {
  throw new WeirError('NOT_AVAILABLE', '`weir simulate --to path` is not wired yet')
}
