/**
 * What people buy: a line of business, either in a store or online. Shares in percent of all purchases, median in euros,
 * sigma of the logarithm. Most kinds of business exist both ways under one merchant category code, so that neither the
 * code nor the channel says much by itself.
 */
export interface Line {
  readonly name: string
  readonly online: boolean
  readonly share: number
  readonly medianEur: number
  readonly sigma: number
  /** ISO 18245. */
  readonly categories: readonly string[]
}

export const LINES: readonly Line[] = [
  { name: 'grocery', online: false, share: 20.4, medianEur: 32, sigma: 0.7, categories: ['5411', '5499', '5462'] },
  { name: 'grocery', online: true, share: 1.6, medianEur: 32, sigma: 0.7, categories: ['5411', '5499'] },
  { name: 'restaurant', online: false, share: 12.8, medianEur: 18, sigma: 0.7, categories: ['5812', '5814', '5813'] },
  { name: 'restaurant', online: true, share: 2.2, medianEur: 18, sigma: 0.7, categories: ['5812', '5814'] },
  { name: 'online', online: true, share: 12, medianEur: 38, sigma: 1, categories: ['5999', '5942', '5945', '5399'] },
  { name: 'transport', online: false, share: 6.5, medianEur: 10, sigma: 0.6, categories: ['4111', '4121', '7523'] },
  { name: 'transport', online: true, share: 3.5, medianEur: 10, sigma: 0.6, categories: ['4111', '4121', '7523'] },
  { name: 'fuel', online: false, share: 8, medianEur: 48, sigma: 0.4, categories: ['5541', '5542'] },
  { name: 'digital', online: true, share: 8, medianEur: 10, sigma: 0.8, categories: ['5816', '5815', '5818', '5735'] },
  {
    name: 'subscription',
    online: true,
    share: 6,
    medianEur: 12,
    sigma: 0.5,
    categories: ['4899', '5968', '5815', '7997'],
  },
  { name: 'fashion', online: false, share: 2.8, medianEur: 45, sigma: 0.8, categories: ['5651', '5661', '5691'] },
  { name: 'fashion', online: true, share: 2.2, medianEur: 45, sigma: 0.8, categories: ['5651', '5661', '5691'] },
  { name: 'cash', online: false, share: 4, medianEur: 80, sigma: 0.6, categories: ['6011'] },
  { name: 'health', online: false, share: 3.2, medianEur: 25, sigma: 0.8, categories: ['5912', '8099', '8021'] },
  { name: 'health', online: true, share: 0.8, medianEur: 25, sigma: 0.8, categories: ['5912'] },
  { name: 'travel', online: false, share: 0.6, medianEur: 220, sigma: 0.9, categories: ['7011', '4722'] },
  { name: 'travel', online: true, share: 1.4, medianEur: 220, sigma: 0.9, categories: ['7011', '4722', '4511'] },
  { name: 'electronics', online: false, share: 0.9, medianEur: 150, sigma: 1, categories: ['5732', '5722'] },
  { name: 'electronics', online: true, share: 1.1, medianEur: 150, sigma: 1, categories: ['5732', '5734'] },
  { name: 'other', online: false, share: 1.2, medianEur: 30, sigma: 1, categories: ['5947', '7230', '5200'] },
  { name: 'other', online: true, share: 0.8, medianEur: 30, sigma: 1, categories: ['5947', '7922', '5200'] },
]

export const SUBSCRIPTION = lineIndex('subscription', true)
export const CASH = lineIndex('cash', false)
/** Gift shops and gift cards among the merchants of `other`. */
export const GIFT_CATEGORY = '5947'

export function lineIndex(name: string, online: boolean): number {
  return LINES.findIndex((line) => line.name === name && line.online === online)
}

/** Shares of the lines of one channel, zero elsewhere; subscriptions come by the month, not by this draw. */
export function lineWeights(online: boolean): number[] {
  return LINES.map((line, i) => (line.online === online && i !== SUBSCRIPTION ? line.share : 0))
}

/** Share of purchases (subscriptions left out) made online on the first day. */
export function onlineShare(): number {
  const sum = (online: boolean): number => lineWeights(online).reduce((all, share) => all + share, 0)
  return sum(true) / (sum(true) + sum(false))
}
