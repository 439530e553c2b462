import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'

/** One import of one of our files by another; paths are relative to the root of the repository. */
export interface Edge {
  readonly from: string
  readonly to: string
  readonly isTypeOnly: boolean
}

const STATEMENT =
  /^\s*(?:import|export)\s+(type\s+)?([\w*{}\s,$]*?)\s*from\s*['"]([^'"]+)['"]|^\s*import\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm

/** The imports in a file's text that lead to our own files: `#folder/...` and relative ones. */
export function edgesOf(file: string, text: string): Edge[] {
  const edges: Edge[] = []
  for (const [, type, names, from, bare, dynamic] of text.matchAll(STATEMENT)) {
    const target = targetOf(file, from ?? bare ?? dynamic ?? '')
    if (target !== null) edges.push({ from: file, to: target, isTypeOnly: type !== undefined || areAllTypes(names) })
  }
  return edges
}

/** Every source file below the folders, relative to the root. */
export function sourceFilesIn(root: string, folders: readonly string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile() && /\.(ts|tsx)$/.test(entry.name))
      .map((entry) => relative(root, join(entry.parentPath, entry.name)))
      .sort(),
  )
}

export function readSource(root: string, file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

function targetOf(file: string, specifier: string): string | null {
  if (specifier.startsWith('#')) return specifier.slice(1)
  if (specifier.startsWith('.')) return normalize(join(dirname(file), specifier))
  return null
}

/** `{ type A, type B }` asks for nothing at run time. */
function areAllTypes(names: string | undefined): boolean {
  const inside = /^\{([^}]*)\}$/.exec(names?.trim() ?? '')?.[1]
  if (inside === undefined) return false
  const parts = inside.split(',').filter((part) => part.trim() !== '')
  return parts.length > 0 && parts.every((part) => part.trim().startsWith('type '))
}
