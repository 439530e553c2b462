import type { KernelConfig, KernelFunc, TensorInfo } from '@tensorflow/tfjs'

import type { Tf } from './tf.ts'

/**
 * The WebAssembly backend multiplies transposed matrices in a plain loop, four to six times slower than untransposed
 * ones, and every gradient of a product has one. This replaces its kernel by one that transposes first. Doing it twice
 * changes nothing.
 */
export function patchWasmMatMul(tf: Tf): void {
  const original = tf.getKernel('BatchMatMul', 'wasm')
  const transpose = tf.getKernel('Transpose', 'wasm')
  if (original.kernelFunc.name === transposeFirst.name) return
  const patched: Pick<KernelConfig, 'kernelName' | 'backendName'> = { kernelName: 'BatchMatMul', backendName: 'wasm' }
  tf.unregisterKernel('BatchMatMul', 'wasm')
  tf.registerKernel({ ...original, ...patched, kernelFunc: transposeFirst(original.kernelFunc, transpose.kernelFunc) })
}

function transposeFirst(multiply: KernelFunc, transpose: KernelFunc): KernelFunc {
  const kernel: KernelFunc = (params) => {
    const { inputs, backend } = params
    const { transposeA, transposeB } = params.attrs as unknown as { transposeA: boolean; transposeB: boolean }
    const a = inputs['a']!
    const b = inputs['b']!
    if (!(transposeA || transposeB) || isBatched(a) || isBatched(b)) return multiply(params)

    const temporaries: TensorInfo[] = []
    const turn = (x: TensorInfo): TensorInfo => {
      const perm = x.shape.map((_, axis) => axis)
      perm.push(...perm.splice(-2).reverse())
      const turned = transpose({ inputs: { x }, backend, attrs: { perm } }) as TensorInfo
      temporaries.push(turned)
      return turned
    }
    const product = multiply({
      inputs: { a: transposeA ? turn(a) : a, b: transposeB ? turn(b) : b },
      backend,
      attrs: { ...params.attrs, transposeA: false, transposeB: false },
    })
    for (const temporary of temporaries) {
      ;(backend as { disposeData(id: object): boolean }).disposeData(temporary.dataId)
    }
    return product
  }
  Object.defineProperty(kernel, 'name', { value: transposeFirst.name })
  return kernel
}

function isBatched(x: TensorInfo): boolean {
  return x.shape.slice(0, -2).some((dim) => dim !== 1)
}
