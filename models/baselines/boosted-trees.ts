import { binRows, cutPoints, type GrowthOptions, type Tree, TreeGrower, type TreeRows } from './tree-grower.ts'

/**
 * Histogram gradient boosted trees for the log loss, grown leaf by leaf (Friedman 2001; the histogram and second-order
 * form as in XGBoost and LightGBM): each feature cut into at most 64 bins at quantiles, the leaf with the largest gain
 * split next, the larger child's histogram got by subtracting the smaller one's from the parent's. No randomness: same
 * rows, same trees.
 */
export interface BoostedTrees {
  readonly width: number
  /** Log odds before the first tree. */
  readonly base: number
  readonly trees: readonly Tree[]
}

export interface BoostingOptions extends GrowthOptions {
  readonly treesMax?: number
  readonly learningRate?: number
  /** Training stops when its loss has not fallen for `patience` trees, and the best number of trees is kept. */
  readonly validation?: TreeRows
  readonly patience?: number
  readonly onTree?: (tree: number, validationLoss: number | null) => void
}

export function trainBoostedTrees(rows: TreeRows, options: BoostingOptions = {}): BoostedTrees {
  const { treesMax = 200, learningRate = 0.1, validation, patience = 20 } = options
  const cuts = cutPoints(rows)
  const binned = binRows(rows, cuts)
  const base = baseLogOdds(rows)
  const logits = new Float64Array(rows.count).fill(base)
  const validationLogits = new Float64Array(validation?.count ?? 0).fill(base)
  const gradient = new Float64Array(rows.count)
  const hessian = new Float64Array(rows.count)
  const grower = new TreeGrower(rows, cuts, binned, options)
  const trees: Tree[] = []
  let best = { loss: validation === undefined ? 0 : meanLoss(validation, validationLogits), trees: 0 }
  for (let round = 0; round < treesMax; round++) {
    for (let i = 0; i < rows.count; i++) {
      const weight = rows.weight?.[i] ?? 1
      const p = 1 / (1 + Math.exp(-logits[i]!))
      gradient[i] = weight * (p - rows.fraud[i]!)
      hessian[i] = Math.max(weight * p * (1 - p), 1e-16)
    }
    const tree = grower.grow(gradient, hessian, learningRate, logits)
    if (tree === null) break
    trees.push(tree)
    if (validation === undefined) {
      options.onTree?.(trees.length, null)
      continue
    }
    for (let i = 0; i < validation.count; i++)
      validationLogits[i]! += treeValue(tree, validation.current, i * rows.width)
    const loss = meanLoss(validation, validationLogits)
    options.onTree?.(trees.length, loss)
    if (loss < best.loss) best = { loss, trees: trees.length }
    if (trees.length - best.trees >= patience) break
  }
  return { width: rows.width, base, trees: validation === undefined ? trees : trees.slice(0, best.trees) }
}

/** Log odds of one row of `current`. */
export function boostedTreesLogit(model: BoostedTrees, current: Float32Array, row: number): number {
  let logit = model.base
  for (const tree of model.trees) logit += treeValue(tree, current, row * model.width)
  return logit
}

function treeValue(tree: Tree, current: Float32Array, from: number): number {
  let node = 0
  while (tree.feature[node] !== -1) {
    node = current[from + tree.feature[node]!]! <= tree.threshold[node]! ? tree.left[node]! : tree.right[node]!
  }
  return tree.value[node]!
}

function baseLogOdds(rows: TreeRows): number {
  let fraud = 1e-3
  let genuine = 1e-3
  for (let i = 0; i < rows.count; i++) {
    if (rows.fraud[i] === 1) fraud += rows.weight?.[i] ?? 1
    else genuine += rows.weight?.[i] ?? 1
  }
  return Math.fround(Math.log(fraud / genuine))
}

function meanLoss(rows: TreeRows, logits: Float64Array): number {
  let loss = 0
  let total = 0
  for (let i = 0; i < rows.count; i++) {
    const weight = rows.weight?.[i] ?? 1
    const z = logits[i]!
    loss += weight * (Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))) - rows.fraud[i]! * z)
    total += weight
  }
  return loss / total
}
