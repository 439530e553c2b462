import { mix32, type Random } from './random.ts'

/** Countries by index: the issuer's own first, then those its customers travel to. */
export const COUNTRIES = ['DE', 'FR', 'ES', 'IT', 'GB', 'US', 'CH', 'PL', 'SE', 'JP'] as const
export const HOME_COUNTRIES = 4
export const CURRENCY_OF: readonly string[] = ['EUR', 'EUR', 'EUR', 'EUR', 'GBP', 'USD', 'CHF', 'PLN', 'SEK', 'JPY']
/** How often a trip leads there. */
export const TRAVEL_WEIGHTS = [1.4, 1.6, 2.2, 2, 1.2, 0.9, 0.9, 0.7, 0.5, 0.2] as const

/** Country, latitude, longitude, weight as a home. The first 30 are homes; the rest is where travellers go. */
const CITIES: readonly (readonly [number, number, number, number])[] = [
  [0, 52.52, 13.4, 3.6],
  [0, 53.55, 10, 1.8],
  [0, 48.14, 11.58, 1.5],
  [0, 50.94, 6.96, 1.1],
  [0, 50.11, 8.68, 0.8],
  [0, 48.78, 9.18, 0.6],
  [0, 51.23, 6.78, 0.6],
  [0, 51.34, 12.37, 0.6],
  [0, 49.45, 11.08, 0.5],
  [0, 52.37, 9.73, 0.5],
  [1, 48.86, 2.35, 4.2],
  [1, 43.3, 5.37, 0.9],
  [1, 45.76, 4.84, 1],
  [1, 43.6, 1.44, 0.8],
  [1, 43.7, 7.27, 0.5],
  [1, 47.22, -1.55, 0.5],
  [1, 48.57, 7.75, 0.4],
  [1, 44.84, -0.58, 0.5],
  [2, 40.42, -3.7, 3.2],
  [2, 41.39, 2.17, 1.9],
  [2, 39.47, -0.38, 0.8],
  [2, 37.39, -5.99, 0.7],
  [2, 41.65, -0.89, 0.5],
  [2, 36.72, -4.42, 0.5],
  [3, 41.9, 12.5, 2.8],
  [3, 45.46, 9.19, 1.6],
  [3, 40.85, 14.27, 1],
  [3, 45.07, 7.69, 0.8],
  [3, 38.12, 13.36, 0.6],
  [3, 44.49, 11.34, 0.5],
  [4, 51.51, -0.13, 1],
  [4, 55.95, -3.19, 1],
  [5, 40.71, -74.01, 1],
  [5, 25.76, -80.19, 1],
  [6, 47.38, 8.54, 1],
  [6, 46.2, 6.14, 1],
  [7, 52.23, 21.01, 1],
  [7, 50.06, 19.94, 1],
  [8, 59.33, 18.07, 1],
  [8, 57.71, 11.97, 1],
  [9, 35.68, 139.69, 1],
  [9, 34.69, 135.5, 1],
]
export const HOME_CITIES = 30

const KM_PER_DEGREE = 111.2
/** Terminals stand in cells of this size; a terminal has one place, whoever pays there. */
const CELL_DEGREES = 0.01
const SHOP_DISTANCE_KM = 8

export function homeWeights(): number[] {
  return CITIES.slice(0, HOME_CITIES).map(([, , , weight]) => weight)
}

export function cityCountry(city: number): number {
  return CITIES[city]![0]
}

export function cityLatitude(city: number): number {
  return CITIES[city]![1]
}

export function cityLongitude(city: number): number {
  return CITIES[city]![2]
}

/** A city of a country, where a traveller stays. */
export function drawCity(random: Random, country: number): number {
  const cities = CITIES.flatMap(([of], city) => (of === country ? [city] : []))
  return random.pick(cities)
}

/** Where somebody stands: degrees, and the cell in which a terminal has its place. Reused from call to call. */
export class Spot {
  latitude = 0
  longitude = 0
  cell = 0

  /** The place where this person visits this shop, always the same; exponential distance from home, mean 8 km. */
  ofVisit(latitude: number, longitude: number, person: number, shop: number): this {
    const word = mix32(Math.imul(person + 1, 0x9e3779b1) ^ mix32(shop))
    const distanceKm = -Math.log(((word >>> 8) + 1) / 2 ** 24) * SHOP_DISTANCE_KM
    const angle = ((mix32(word) >>> 8) / 2 ** 24) * 2 * Math.PI
    return this.at(latitude, longitude, distanceKm, angle)
  }

  /** A place at most `radiusKm` away, less the size of a cell. */
  within(latitude: number, longitude: number, radiusKm: number, random: Random): this {
    const distanceKm = Math.max(0, radiusKm - 1.6) * Math.sqrt(random.unit())
    return this.at(latitude, longitude, distanceKm, random.unit() * 2 * Math.PI)
  }

  private at(latitude: number, longitude: number, distanceKm: number, angle: number): this {
    const degrees = distanceKm / KM_PER_DEGREE
    const row = Math.floor((latitude + degrees * Math.sin(angle)) / CELL_DEGREES)
    const column = Math.floor(
      (longitude + (degrees * Math.cos(angle)) / Math.cos(latitude * (Math.PI / 180))) / CELL_DEGREES,
    )
    this.cell = mix32(Math.imul(row, 0x85ebca6b) ^ Math.imul(column, 0x27d4eb2f))
    this.latitude = rounded((row + (this.cell & 255) / 256) * CELL_DEGREES)
    this.longitude = rounded((column + ((this.cell >>> 8) & 255) / 256) * CELL_DEGREES)
    return this
  }
}

function rounded(degrees: number): number {
  return Math.round(degrees * 1e5) / 1e5
}
