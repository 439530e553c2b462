import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

import { messageOf, WeirError } from '#schemas/errors.ts'
import type * as OnnxRuntime from 'onnxruntime-node'

import { writeOnnx } from './onnx-writer.ts'

/** The one place that loads onnxruntime and chooses what it runs on. */
export type Provider = 'cpu' | 'cuda'
export type ProviderWish = 'auto' | Provider

export interface ChosenProvider {
  readonly provider: Provider
  /** One or two sentences for people: what was chosen, why, and how to change it. */
  readonly explanation: string
}

export type Runtime = typeof OnnxRuntime

/**
 * CUDA where its provider loads, else the CPU.
 *
 * @param tryCuda makes a session on CUDA and says what went wrong, or null; handed in for tests
 * @throws WeirError NOT_AVAILABLE where 'cuda' was asked for by name and cannot be had; with 'auto' it never throws
 */
export async function chooseExecutionProvider(
  wish: ProviderWish,
  tryCuda: () => Promise<string | null> = probeCuda,
): Promise<ChosenProvider> {
  if (wish === 'cpu') return { provider: 'cpu', explanation: 'Models run on the CPU, as configured.' }
  const failure = await tryCuda()
  if (failure === null) {
    return { provider: 'cuda', explanation: 'Models run on the GPU: the CUDA provider of onnxruntime loaded.' }
  }
  const why = explainCudaFailure(failure)
  if (wish === 'cuda') {
    throw new WeirError('NOT_AVAILABLE', `The CUDA provider was asked for and cannot be used: ${why.problem}`, {
      where: 'model.provider',
      fix: `${why.fix} Or set the provider to auto or cpu.`,
    })
  }
  return {
    provider: 'cpu',
    explanation: `Models run on the CPU, which is quick enough for models of this size. CUDA is not in use: ${why.problem} ${why.fix}`,
  }
}

/** Loads onnxruntime when it is first needed: its native library costs a tenth of a second. */
export async function loadRuntime(): Promise<Runtime> {
  try {
    return await import('onnxruntime-node')
  } catch (cause) {
    throw new WeirError('NOT_AVAILABLE', 'onnxruntime-node does not load on this machine', {
      where: `${process.platform} ${process.arch}`,
      fix: 'Weir runs on Linux with glibc (x64, arm64) and on Apple silicon; run `npm ci` again if packages are missing.',
      cause,
    })
  }
}

/**
 * One thread, in order: batches are small, a second thread only spins, and a fixed order keeps scores the same from run
 * to run. Denormals are left alone: to flush them, onnxruntime changes the mode of the calling thread, and with it the
 * arithmetic of the features.
 */
export function sessionOptionsFor(provider: Provider): OnnxRuntime.InferenceSession.SessionOptions {
  return {
    executionProviders: [provider],
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
  }
}

/** Makes a session of one operator on CUDA: the only way to know is to try. */
async function probeCuda(): Promise<string | null> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return `no CUDA provider exists for ${process.platform} ${process.arch}`
  }
  try {
    // Asking onnxruntime for a provider that is not there makes it print an error of its own.
    const folder = join(dirname(createRequire(import.meta.url).resolve('onnxruntime-node')), '../bin/napi-v6/linux/x64')
    const missing = CUDA_FILES.find((file) => !existsSync(join(folder, file)))
    if (missing !== undefined) return `${missing}: cannot open shared object file`
    const runtime = await loadRuntime()
    const session = await runtime.InferenceSession.create(PROBE_MODEL, {
      ...sessionOptionsFor('cuda'),
      logSeverityLevel: 4,
    })
    await session.release()
    return null
  } catch (error) {
    return messageOf(error)
  }
}

/** The loader's words in ours; the first line that fits, in the order in which the pieces are needed. */
function explainCudaFailure(message: string): { problem: string; fix: string } {
  const library = /(lib[\w.-]+\.so[\w.]*): cannot open shared object file/.exec(message)?.[1]
  if (message.includes('no CUDA provider exists')) {
    return { problem: 'it exists only for Linux on x64.', fix: 'Nothing needs to be done.' }
  }
  if (library?.startsWith('libonnxruntime_providers') === true) {
    return {
      problem: 'its provider library is not installed beside onnxruntime-node.',
      fix: `To use a GPU, put ${CUDA_FILES.join(' and ')} of the same version there.`,
    }
  }
  if (library === 'libcuda.so.1') {
    return { problem: 'no NVIDIA driver was found (libcuda.so.1).', fix: 'Install the NVIDIA driver to use a GPU.' }
  }
  if (library !== undefined) {
    return {
      problem: `the CUDA library ${library} was not found.`,
      fix: 'Install the CUDA and cuDNN libraries and let LD_LIBRARY_PATH name their folders.',
    }
  }
  if (/no CUDA-capable device|CUDA failure 100/.test(message)) {
    return { problem: 'the driver finds no CUDA-capable device.', fix: 'Check `nvidia-smi`.' }
  }
  return { problem: `onnxruntime said: ${message.split('\n')[0]!.slice(0, 200)}`, fix: '' }
}

const CUDA_FILES = ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so']

const PROBE_MODEL = writeOnnx({
  name: 'probe',
  nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['y'] }],
  initializers: [],
  inputs: [{ name: 'x', element: 'float32', dims: ['N', 1] }],
  outputs: [{ name: 'y', element: 'float32', dims: ['N', 1] }],
})
