import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import nodeUtil from 'node:util'

import { messageOf, WeirError } from '#schemas/errors.ts'

import { createFusedLstm, type NativeBackend, type NativeBinding } from './fused-lstm.ts'
import type { LstmLayer } from './lstm-layer.ts'
import type { Tf } from './tf.ts'
import { patchWasmMatMul } from './wasm-mat-mul.ts'

/** What training runs on. */
export interface TrainingBackend {
  readonly name: TrainingBackendName
  readonly tf: Tf
  /** Name under which tfjs knows it. */
  readonly tfBackend: string
  /** TensorFlow's own LSTM kernel, where there is one. */
  readonly fusedLstm?: LstmLayer
  /** What was tried, what came of it, and why this one; for logs and `weir doctor`. */
  readonly explanation: string
}

export type TrainingBackendName = 'tensorflow-gpu' | 'tensorflow' | 'wasm'

export interface BackendOptions {
  /** Folder that holds `.native/`, `.native-gpu/` and node_modules; default: the one this program is installed in. */
  readonly root?: string
  /** Take this one or fail; default: the fastest that loads. */
  readonly only?: TrainingBackendName
  /** Threads of native TensorFlow; one is fastest for networks of this size on a few shared cores. */
  readonly threads?: number
}

/**
 * Loads TensorFlow.js with the fastest backend that is there: native TensorFlow on a GPU, then on the CPU (what
 * `make native-gpu` and `make native` built, or an installed tfjs-node), else WebAssembly, which is always there. TensorFlow.js
 * itself is loaded here and not before, it costs half a second.
 *
 * @throws WeirError NOT_AVAILABLE when `only` asks for a backend that does not load
 */
export async function chooseTrainingBackend(options: BackendOptions = {}): Promise<TrainingBackend> {
  const root = options.root ?? programRoot()
  const { default: tf } = (await import('@tensorflow/tfjs')) as unknown as { default: Tf }
  const tried: string[] = []
  if (options.only !== 'wasm') {
    for (const candidate of nativeCandidates(root)) {
      const unfit = candidate.missing()
      if (unfit !== null) {
        tried.push(`${candidate.label}: ${unfit}`)
        continue
      }
      try {
        const native = await loadNative(tf, candidate, options.threads ?? 1)
        const name = native.isUsingGpuDevice ? 'tensorflow-gpu' : 'tensorflow'
        if (options.only !== undefined && options.only !== name) {
          tried.push(`${candidate.label}: loads, but runs as ${name}`)
          break // A second TensorFlow library in one process is not safe.
        }
        tried.push(
          `${candidate.label}: chosen, TensorFlow's LSTM kernels on the ${native.isUsingGpuDevice ? 'GPU' : 'CPU'}`,
        )
        return {
          name,
          tf,
          tfBackend: 'tensorflow',
          fusedLstm: createFusedLstm(tf, native),
          explanation: tried.join('; '),
        }
      } catch (error) {
        tried.push(`${candidate.label}: does not load (${firstLine(messageOf(error))})`)
      }
    }
  }
  if (options.only !== undefined && options.only !== 'wasm') {
    throw new WeirError('NOT_AVAILABLE', `The training backend ${options.only} is not available: ${tried.join('; ')}`, {
      where: 'training backend',
      fix: `Run \`make ${options.only === 'tensorflow' ? 'native' : 'native-gpu'}\`, or let Weir choose the backend.`,
    })
  }
  await loadWasm(tf, root)
  const advice =
    options.only === 'wasm'
      ? 'asked for'
      : 'chosen, it needs nothing; `make native` makes training several times faster'
  return { name: 'wasm', tf, tfBackend: 'wasm', explanation: [...tried, `WebAssembly: ${advice}`].join('; ') }
}

interface NativeCandidate {
  readonly label: string
  /** Null when it can be tried. */
  missing(): string | null
  load(): NativeBackend | Promise<NativeBackend>
}

function nativeCandidates(root: string): NativeCandidate[] {
  const require = createRequire(join(root, 'package.json'))
  const built = (folder: string, needsDevice: boolean): NativeCandidate => ({
    label: folder,
    missing() {
      if (!existsSync(join(root, folder, 'tfjs_binding.node'))) return 'not built'
      return needsDevice && !existsSync('/dev/nvidiactl') ? 'built, but there is no NVIDIA device' : null
    },
    load: () => loadBuilt(require, join(root, folder)),
  })
  const installed = (packageName: string): NativeCandidate => ({
    label: packageName,
    missing: () => (existsSync(join(root, 'node_modules', packageName)) ? null : 'not installed'),
    load() {
      require(packageName)
      const tf = require('@tensorflow/tfjs') as Tf
      return tf.findBackend('tensorflow') as unknown as NativeBackend
    },
  })
  return [
    built('.native-gpu', true),
    installed('@tensorflow/tfjs-node-gpu'),
    built('.native', false),
    installed('@tensorflow/tfjs-node'),
  ]
}

/** The binding that `make native` compiled, without tfjs-node's own entry file, which insists on its own download. */
function loadBuilt(require: NodeJS.Require, folder: string): NativeBackend {
  const dist = join(folder, 'tfjs-node', 'dist')
  const tf = require('@tensorflow/tfjs') as Tf
  require(join(dist, 'register_all_kernels.js'))
  const { NodeJSKernelBackend } = require(join(dist, 'nodejs_kernel_backend.js')) as {
    NodeJSKernelBackend: new (binding: NativeBinding, packageName: string) => NativeBackend
  }
  const binding = require(join(folder, 'tfjs_binding.node')) as NativeBinding
  const backend = new NodeJSKernelBackend(binding, '@tensorflow/tfjs-node')
  tf.registerBackend('tensorflow', () => backend as unknown as ReturnType<Tf['backend']>, 3)
  return backend
}

async function loadNative(tf: Tf, candidate: NativeCandidate, threads: number): Promise<NativeBackend> {
  // A backend is registered once per process; asked again, it is the same one.
  const present = tf.findBackend('tensorflow') as unknown as NativeBackend | null
  if (present === null) {
    restoreUtilFunctions()
    setDefaults({
      TF_CPP_MIN_LOG_LEVEL: '2',
      TF_NUM_INTRAOP_THREADS: String(threads),
      TF_NUM_INTEROP_THREADS: '1',
      TF_DETERMINISTIC_OPS: '1',
      TF_FORCE_GPU_ALLOW_GROWTH: 'true',
    })
  }
  const native = present ?? (await candidate.load())
  if (!(await tf.setBackend('tensorflow'))) throw new Error('tfjs refused the backend')
  return native
}

async function loadWasm(tf: Tf, root: string): Promise<void> {
  const require = createRequire(join(root, 'package.json'))
  const wasm = (await import('@tensorflow/tfjs-backend-wasm')) as unknown as {
    default: { setWasmPaths(folder: string): void }
  }
  if (tf.findBackend('wasm') === null) {
    wasm.default.setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`)
  }
  if (!(await tf.setBackend('wasm'))) {
    throw new WeirError('TRAINING_FAILED', 'TensorFlow.js cannot start its WebAssembly backend', {
      where: 'training backend',
      fix: 'Install the packages anew (`npm ci`).',
    })
  }
  patchWasmMatMul(tf)
}

/** tfjs-node 4.22 calls two functions that Node 23 took out of `util`. */
function restoreUtilFunctions(): void {
  const util = nodeUtil as unknown as Record<string, unknown>
  util['isNullOrUndefined'] ??= (value: unknown) => value === null || value === undefined
  util['isArray'] ??= Array.isArray
}

function setDefaults(variables: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(variables)) process.env[name] ??= value
}

/** The nearest folder above this file that has a package.json: the repository, also when run from `dist/`. */
function programRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder)
  return folder
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]!
}
