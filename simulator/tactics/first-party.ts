import type { World } from '../world.ts'
import { FIRST_PARTY } from './tactics.ts'

/** Whether a purchase is disputed has nothing to do with the purchase: one in so many, while there is room for one. */
const CLAIMED_HERE = 0.1

/** A buyer who has what was ordered disputes the charge. Until then nothing is different. */
export class FirstParty {
  private readonly world: World

  constructor(world: World) {
    this.world = world
  }

  /** True when the buyer of this online purchase will dispute it. */
  claims(): boolean {
    const { budget, random } = this.world
    if (!budget.wants(FIRST_PARTY) || !random.chance(CLAIMED_HERE)) return false
    budget.begin(FIRST_PARTY, 0)
    return true
  }
}
