import { link, mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { messageOf, WeirError } from '#schemas/errors.ts'
import { z } from 'zod'

import { entriesOf, makeFolder, syncFolder, writeDurably } from './durable-files.ts'

/**
 * Who is in charge of a feature spec, and who was: numbered files in one folder, of which the highest counts. A number
 * is taken by linking a finished, fsynced file to its name, which fails where another process took it first.
 */
const promotionSchema = z.strictObject({
  number: z.number().int().min(1),
  kind: z.enum(['promote', 'rollback']),
  specName: z.string(),
  /** Now in charge; null: the shipped model. */
  version: z.string().nullable(),
  /** In charge until then. */
  previous: z.string().nullable(),
  reason: z.string(),
  /** Epoch milliseconds. */
  at: z.number(),
})
export type Promotion = z.infer<typeof promotionSchema>

/** A change before it has its number. */
export type Change = Omit<Promotion, 'number'>

/**
 * Writes the next promotion; `decide` sees the history it follows on, and is asked again where another came first.
 *
 * @throws WeirError STORE_FAILED
 */
export async function appendPromotion(
  home: string,
  decide: (past: readonly Promotion[]) => Promise<Change>,
): Promise<Promotion> {
  await makeFolder(home)
  for (let attempt = 0; attempt < APPEND_ATTEMPTS_MAX; attempt++) {
    const past = await readPromotions(home)
    const promotion = { number: (past.at(-1)?.number ?? 0) + 1, ...(await decide(past)) }
    if (await writeNumbered(home, promotion)) return promotion
  }
  throw new WeirError('STORE_FAILED', 'Other processes kept changing the champion; nothing was changed', {
    where: home,
    fix: 'Try again.',
  })
}

/** Oldest first. @throws WeirError MODEL_INVALID */
export async function readPromotions(home: string): Promise<Promotion[]> {
  const past: Promotion[] = []
  for (const entry of await entriesOf(home)) {
    if (!PROMOTION_FILE.test(entry.name)) continue
    const file = join(home, entry.name)
    try {
      past.push(promotionSchema.parse(JSON.parse(await readFile(file, 'utf8'))))
    } catch (cause) {
      throw new WeirError('MODEL_INVALID', 'A champion file cannot be read', {
        where: file,
        fix: 'Remove it: the one before then counts.',
        cause,
      })
    }
  }
  return past.sort((a, b) => a.number - b.number)
}

/** Champions in the order they came, rollbacks undone: the last is in charge, the one before is what a rollback gives. */
export function championStack(past: readonly Promotion[]): string[] {
  const stack: string[] = []
  for (const { kind, version } of past) {
    if (kind === 'rollback') stack.pop()
    else if (version !== null && stack.at(-1) !== version) stack.push(version)
  }
  return stack
}

export function inCharge(past: readonly Promotion[]): string | null {
  return championStack(past).at(-1) ?? null
}

/** False where another process took the number first. */
async function writeNumbered(home: string, promotion: Promotion): Promise<boolean> {
  const workshop = await mkdtemp(join(home, '.promotion-'))
  const temporary = join(workshop, 'promotion.json')
  try {
    await writeDurably(temporary, `${JSON.stringify(promotion, null, 2)}\n`)
    await link(temporary, join(home, `${String(promotion.number).padStart(6, '0')}.json`))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw new WeirError('STORE_FAILED', `The champion could not be written: ${messageOf(cause)}`, {
      where: home,
      cause,
    })
  } finally {
    await rm(workshop, { recursive: true, force: true })
  }
  await syncFolder(home)
  return true
}

const PROMOTION_FILE = /^\d{6,}\.json$/
const APPEND_ATTEMPTS_MAX = 20
