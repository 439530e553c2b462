import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cityCountry, drawCity, HOME_CITIES, HOME_COUNTRIES, homeWeights, Spot } from '#simulator/places.ts'
import { Random } from '#simulator/random.ts'

const MADRID = [40.42, -3.7] as const

/** Kilometres, flat earth. */
function distanceKm(
  from: readonly [number, number],
  to: { readonly latitude: number; readonly longitude: number },
): number {
  const dy = (from[0] - to.latitude) * 111.2
  const dx = (from[1] - to.longitude) * 111.2 * Math.cos((from[0] * Math.PI) / 180)
  return Math.hypot(dx, dy)
}

test('people pay eight kilometres from home on average, most of them nearer', () => {
  const spot = new Spot()
  const distances = Array.from({ length: 4_000 }, (_, person) =>
    distanceKm(MADRID, spot.ofVisit(MADRID[0], MADRID[1], person, 17)),
  )
  const mean = distances.reduce((sum, km) => sum + km, 0) / distances.length
  assert.ok(Math.abs(mean - 8) < 0.6, `mean ${mean} km`)
  const nearer = distances.filter((km) => km < 8).length / distances.length
  assert.ok(Math.abs(nearer - (1 - Math.exp(-1))) < 0.04)
})

test('the same person finds the same shop at the same place', () => {
  const spot = new Spot()
  const placeOf = (person: number): number[] => {
    const { latitude, longitude, cell } = spot.ofVisit(MADRID[0], MADRID[1], person, 9)
    return [latitude, longitude, cell]
  }
  const first = placeOf(5)
  assert.notDeepEqual(placeOf(6), first)
  assert.deepEqual(placeOf(5), first)
})

test('a place within five kilometres is within five kilometres', () => {
  const spot = new Spot()
  const random = new Random(1)
  for (let i = 0; i < 2_000; i++) {
    assert.ok(distanceKm(MADRID, spot.within(MADRID[0], MADRID[1], 5, random)) <= 5)
  }
})

test('a cell has one place, whoever stands in it', () => {
  const spot = new Spot()
  const random = new Random(2)
  const places = new Map<number, string>()
  for (let i = 0; i < 5_000; i++) {
    spot.within(MADRID[0], MADRID[1], 8, random)
    const place = `${spot.latitude} ${spot.longitude}`
    assert.equal(places.get(spot.cell) ?? place, place)
    places.set(spot.cell, place)
  }
  assert.ok(places.size < 2_000)
})

test('homes are thirty cities of the issuer’s countries, and every country has a city to travel to', () => {
  assert.equal(homeWeights().length, HOME_CITIES)
  for (let city = 0; city < HOME_CITIES; city++) assert.ok(cityCountry(city) < HOME_COUNTRIES)
  const random = new Random(3)
  for (let country = 0; country < 10; country++) assert.equal(cityCountry(drawCity(random, country)), country)
})
