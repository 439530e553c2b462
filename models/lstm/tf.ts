import type * as tfjs from '@tensorflow/tfjs'

/** TensorFlow.js as a value: it is loaded late and handed around. */
export type Tf = typeof tfjs
