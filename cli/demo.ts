import { WeirError } from '#schemas/errors.ts'
import type { DemoOptions } from './commands/demo.ts'
import type { CommandContext } from './context.ts'

export async function runDemo(_context: CommandContext, _options: DemoOptions): Promise<number> {
  throw new WeirError('NOT_AVAILABLE', 'the body of `weir demo` is not wired yet')
}
