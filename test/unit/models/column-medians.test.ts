import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { columnMedians } from '#models/column-medians.ts'

describe('column medians', () => {
  it('are the middle values of each column, the lower of two', () => {
    assert.deepEqual(columnMedians(Float32Array.of(1, 10, 5, 30, 3, 20), 3, 2), [3, 20])
    assert.deepEqual(columnMedians(Float32Array.of(4, 1, 3, 2), 4, 1), [2])
  })

  it('are zero where there are no rows', () => {
    assert.deepEqual(columnMedians(new Float32Array(0), 0, 2), [0, 0])
  })
})
