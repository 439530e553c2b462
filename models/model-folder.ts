import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { messageOf, WeirError } from '#schemas/errors.ts'
import { type ModelManifest, parseModelManifest } from '#schemas/model-manifest.ts'

/** What a folder of one model version holds. */
export const MODEL_FILE = 'model.onnx'
export const MANIFEST_FILE = 'manifest.json'
export const REPORT_FILE = 'report.html'

export interface ModelFolder {
  readonly folder: string
  readonly manifest: ModelManifest
  /** The bytes of `model.onnx`, already compared with the manifest's sha256. */
  readonly model: Uint8Array
}

/**
 * Reads a model folder and checks that its parts belong together.
 *
 * @throws WeirError MODEL_INVALID (names the file and the field), MODEL_NOT_FOUND
 */
export async function readModelFolder(folder: string): Promise<ModelFolder> {
  const manifestFile = join(folder, MANIFEST_FILE)
  const manifest = parseModelManifest((await read(manifestFile)).toString('utf8'), manifestFile)
  if (manifest.version !== basename(folder)) {
    throw new WeirError('MODEL_INVALID', `The manifest says version ${manifest.version}, its folder another`, {
      where: `${manifestFile}, version`,
      fix: `Name the folder ${manifest.version}.`,
    })
  }
  const modelFile = join(folder, MODEL_FILE)
  const model = await read(modelFile)
  if (sha256Of(model) !== manifest.sha256) {
    throw new WeirError(
      'MODEL_INVALID',
      `The model file is not the one its manifest speaks of (${model.length} bytes)`,
      {
        where: `${modelFile}, sha256`,
        fix: 'The file was cut short or changed; restore it or train again.',
      },
    )
  }
  return { folder, manifest, model }
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    throw new WeirError(
      missing ? 'MODEL_NOT_FOUND' : 'MODEL_INVALID',
      missing ? 'A file of the model is missing' : `A file of the model cannot be read: ${messageOf(cause)}`,
      { where: file, fix: 'Name a folder with model.onnx and manifest.json; `weir models list` shows what there is.' },
    )
  }
}
