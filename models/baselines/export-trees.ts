import { int64s, writeOnnx } from '../onnx-writer.ts'
import type { BoostedTrees } from './boosted-trees.ts'
import { emptyTree } from './tree-grower.ts'

/** Names in the exported graph, as a manifest wants them. */
export const TREES_INPUTS = { history: null, lengths: null, current: 'current' } as const
export const TREES_OUTPUTS = { probability: 'probability', logit: 'logit', next: null } as const

/** The same function as an ONNX tree ensemble: `current` `[N, F]` to `probability` and `logit` `[N]`. */
export function exportBoostedTrees(model: BoostedTrees): Uint8Array {
  // A runtime refuses an ensemble without trees; one leaf of zero changes nothing.
  const trees = model.trees.length > 0 ? model.trees : [emptyTree(1)]
  const nodes = trees.flatMap((tree, t) => Array.from(tree.feature, (feature, n) => ({ tree, t, feature, n })))
  const leaves = nodes.filter(({ feature }) => feature === -1)
  const ints = (value: number[]) => ({ kind: 'ints', value }) as const
  return writeOnnx({
    name: 'weir_boosted_trees',
    opsets: { 'ai.onnx.ml': 3 },
    nodes: [
      {
        op: 'TreeEnsembleRegressor',
        domain: 'ai.onnx.ml',
        inputs: ['current'],
        outputs: ['column'],
        attributes: {
          n_targets: { kind: 'int', value: 1 },
          aggregate_function: { kind: 'string', value: 'SUM' },
          base_values: { kind: 'floats', value: [model.base] },
          nodes_treeids: ints(nodes.map(({ t }) => t)),
          nodes_nodeids: ints(nodes.map(({ n }) => n)),
          nodes_featureids: ints(nodes.map(({ feature }) => Math.max(feature, 0))),
          nodes_values: { kind: 'floats', value: nodes.map(({ tree, n }) => tree.threshold[n]!) },
          nodes_modes: { kind: 'strings', value: nodes.map(({ feature }) => (feature === -1 ? 'LEAF' : 'BRANCH_LEQ')) },
          nodes_truenodeids: ints(nodes.map(({ tree, n }) => tree.left[n]!)),
          nodes_falsenodeids: ints(nodes.map(({ tree, n }) => tree.right[n]!)),
          target_treeids: ints(leaves.map(({ t }) => t)),
          target_nodeids: ints(leaves.map(({ n }) => n)),
          target_ids: ints(leaves.map(() => 0)),
          target_weights: { kind: 'floats', value: leaves.map(({ tree, n }) => tree.value[n]!) },
        },
      },
      { op: 'Squeeze', inputs: ['column', 'axis'], outputs: ['logit'] },
      { op: 'Sigmoid', inputs: ['logit'], outputs: ['probability'] },
    ],
    initializers: [int64s('axis', [1])],
    inputs: [{ name: 'current', element: 'float32', dims: ['N', model.width] }],
    outputs: [
      { name: 'probability', element: 'float32', dims: ['N'] },
      { name: 'logit', element: 'float32', dims: ['N'] },
    ],
  })
}
