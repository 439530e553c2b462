/** Nodes in one array each; node 0 is the root. A row goes left where its value is at most the threshold. */
export interface Tree {
  /** Feature of a split, -1 for a leaf. */
  readonly feature: Int32Array
  /** float32, so that the served graph compares the same numbers. */
  readonly threshold: Float32Array
  readonly left: Int32Array
  readonly right: Int32Array
  /** Of a leaf: what it adds to the log odds. */
  readonly value: Float32Array
}

export interface TreeRows {
  readonly count: number
  readonly width: number
  /** `[count, width]`. */
  readonly current: Float32Array
  readonly fraud: Uint8Array
  readonly weight: Float32Array | null
}

export interface GrowthOptions {
  readonly leavesMax?: number
  /** Splits between the root and a leaf; as many as the leaves allow where it is left out. */
  readonly depthMax?: number
  /** Penalty on leaf values, in units of hessian. */
  readonly l2?: number
  /** Least hessian in a leaf. */
  readonly leafHessianMin?: number
}

/** Sums of gradient and hessian by feature and bin. */
type Histogram = Float64Array

interface Leaf {
  readonly node: number
  readonly depth: number
  /** Its rows are [from, to) of the grower's order. */
  readonly from: number
  readonly to: number
  readonly gradient: number
  readonly hessian: number
  readonly histogram: Histogram
  readonly split: Split | null
}

interface Split {
  readonly feature: number
  /** Bins up to this one go left. */
  readonly bin: number
  readonly gain: number
  readonly leftGradient: number
  readonly leftHessian: number
}

/** Grows trees over binned rows; the rows of a leaf stand together in one order that splits rearrange. */
export class TreeGrower {
  readonly #rows: TreeRows
  readonly #cuts: readonly Float32Array[]
  readonly #bins: readonly Uint8Array[]
  readonly #order: Int32Array
  readonly #spare: Int32Array
  readonly #leavesMax: number
  readonly #depthMax: number
  readonly #l2: number
  readonly #leafHessianMin: number

  constructor(rows: TreeRows, cuts: readonly Float32Array[], bins: readonly Uint8Array[], options: GrowthOptions) {
    this.#rows = rows
    this.#cuts = cuts
    this.#bins = bins
    this.#order = new Int32Array(rows.count)
    this.#spare = new Int32Array(rows.count)
    this.#leavesMax = options.leavesMax ?? 31
    this.#depthMax = options.depthMax ?? Number.POSITIVE_INFINITY
    this.#l2 = options.l2 ?? 1
    this.#leafHessianMin = options.leafHessianMin ?? 1
  }

  /** One tree, or null where no split gains anything; adds its values to `logits`. */
  grow(gradient: Float64Array, hessian: Float64Array, learningRate: number, logits: Float64Array): Tree | null {
    const nodesMax = 2 * this.#leavesMax - 1
    const tree = emptyTree(nodesMax)
    const order = this.#order
    let gradientSum = 0
    let hessianSum = 0
    for (let i = 0; i < order.length; i++) {
      order[i] = i
      gradientSum += gradient[i]!
      hessianSum += hessian[i]!
    }
    const histogram = this.#histogramOf(0, order.length, gradient, hessian)
    const leaves = [this.#leaf(0, 0, 0, order.length, gradientSum, hessianSum, histogram)]
    let nodes = 1
    while (leaves.length < this.#leavesMax) {
      let next = -1
      for (let i = 0; i < leaves.length; i++) {
        const gain = leaves[i]!.split?.gain ?? 0
        if (gain > (next === -1 ? GAIN_MIN : leaves[next]!.split!.gain)) next = i
      }
      if (next === -1) break
      const parent = leaves[next]!
      const split = parent.split!
      const middle = this.#partition(parent, split)
      tree.feature[parent.node] = split.feature
      tree.threshold[parent.node] = this.#cuts[split.feature]![split.bin]!
      tree.left[parent.node] = nodes
      tree.right[parent.node] = nodes + 1
      const leftIsSmaller = middle - parent.from <= parent.to - middle
      const smaller = leftIsSmaller
        ? this.#histogramOf(parent.from, middle, gradient, hessian)
        : this.#histogramOf(middle, parent.to, gradient, hessian)
      const larger = parent.histogram
      for (let i = 0; i < larger.length; i++) larger[i]! -= smaller[i]!
      const left = this.#leaf(
        nodes,
        parent.depth + 1,
        parent.from,
        middle,
        split.leftGradient,
        split.leftHessian,
        leftIsSmaller ? smaller : larger,
      )
      const right = this.#leaf(
        nodes + 1,
        parent.depth + 1,
        middle,
        parent.to,
        parent.gradient - split.leftGradient,
        parent.hessian - split.leftHessian,
        leftIsSmaller ? larger : smaller,
      )
      leaves[next] = left
      leaves.push(right)
      nodes += 2
    }
    if (nodes === 1) return null
    for (const leaf of leaves) {
      const value = Math.fround((-learningRate * leaf.gradient) / (leaf.hessian + this.#l2))
      tree.value[leaf.node] = value
      for (let i = leaf.from; i < leaf.to; i++) logits[order[i]!]! += value
    }
    return trimTree(tree, nodes)
  }

  #leaf(
    node: number,
    depth: number,
    from: number,
    to: number,
    gradient: number,
    hessian: number,
    histogram: Histogram,
  ): Leaf {
    const split = depth < this.#depthMax ? this.#bestSplit(histogram, gradient, hessian) : null
    return { node, depth, from, to, gradient, hessian, histogram, split }
  }

  #histogramOf(from: number, to: number, gradient: Float64Array, hessian: Float64Array): Histogram {
    const order = this.#order
    const histogram = new Float64Array(this.#rows.width * BINS_MAX * 2)
    for (let feature = 0; feature < this.#rows.width; feature++) {
      if (this.#cuts[feature]!.length === 0) continue
      const bins = this.#bins[feature]!
      const base = feature * BINS_MAX * 2
      for (let i = from; i < to; i++) {
        const row = order[i]!
        const at = base + 2 * bins[row]!
        histogram[at]! += gradient[row]!
        histogram[at + 1]! += hessian[row]!
      }
    }
    return histogram
  }

  #bestSplit(histogram: Histogram, gradient: number, hessian: number): Split | null {
    const l2 = this.#l2
    const whole = (gradient * gradient) / (hessian + l2)
    let best: Split | null = null
    for (let feature = 0; feature < this.#rows.width; feature++) {
      const base = feature * BINS_MAX * 2
      let leftGradient = 0
      let leftHessian = 0
      for (let bin = 0; bin < this.#cuts[feature]!.length; bin++) {
        leftGradient += histogram[base + 2 * bin]!
        leftHessian += histogram[base + 2 * bin + 1]!
        const rightHessian = hessian - leftHessian
        if (leftHessian < this.#leafHessianMin || rightHessian < this.#leafHessianMin) continue
        const rightGradient = gradient - leftGradient
        const gain =
          (leftGradient * leftGradient) / (leftHessian + l2) +
          (rightGradient * rightGradient) / (rightHessian + l2) -
          whole
        if (gain > (best?.gain ?? GAIN_MIN)) best = { feature, bin, gain, leftGradient, leftHessian }
      }
    }
    return best
  }

  /** Rows that go left first, both sides in their old order; gives the place where the right side begins. */
  #partition(leaf: Leaf, split: Split): number {
    const order = this.#order
    const spare = this.#spare
    const bins = this.#bins[split.feature]!
    let middle = leaf.from
    let aside = 0
    for (let i = leaf.from; i < leaf.to; i++) {
      const row = order[i]!
      if (bins[row]! <= split.bin) order[middle++] = row
      else spare[aside++] = row
    }
    order.set(spare.subarray(0, aside), middle)
    return middle
  }
}

/** Thresholds between bins, at quantiles of distinct values: bin b holds values up to cut b. Constant features have none. */
export function cutPoints(rows: TreeRows): Float32Array[] {
  const sampled = Math.min(rows.count, CUT_SAMPLE_ROWS)
  return Array.from({ length: rows.width }, (_, feature) => {
    const values = new Float32Array(sampled)
    for (let i = 0; i < sampled; i++) {
      values[i] = rows.current[Math.floor((i * rows.count) / sampled) * rows.width + feature]!
    }
    values.sort()
    const cuts: number[] = []
    for (let b = 1; b < BINS_MAX; b++) {
      const value = values[Math.floor((b * sampled) / BINS_MAX)]!
      if (value < values[sampled - 1]! && value !== cuts.at(-1)) cuts.push(value)
    }
    return Float32Array.from(cuts)
  })
}

export function binRows(rows: TreeRows, cuts: readonly Float32Array[]): Uint8Array[] {
  return cuts.map((thresholds, feature) => {
    const bins = new Uint8Array(rows.count)
    for (let i = 0; i < rows.count; i++) {
      const value = rows.current[i * rows.width + feature]!
      let low = 0
      let high = thresholds.length
      while (low < high) {
        const middle = (low + high) >> 1
        if (value <= thresholds[middle]!) high = middle
        else low = middle + 1
      }
      bins[i] = low
    }
    return bins
  })
}

export function emptyTree(nodes: number): Tree {
  return {
    feature: new Int32Array(nodes).fill(-1),
    threshold: new Float32Array(nodes),
    left: new Int32Array(nodes),
    right: new Int32Array(nodes),
    value: new Float32Array(nodes),
  }
}

function trimTree(tree: Tree, nodes: number): Tree {
  return {
    feature: tree.feature.slice(0, nodes),
    threshold: tree.threshold.slice(0, nodes),
    left: tree.left.slice(0, nodes),
    right: tree.right.slice(0, nodes),
    value: tree.value.slice(0, nodes),
  }
}

const BINS_MAX = 64
const CUT_SAMPLE_ROWS = 200_000
const GAIN_MIN = 1e-9
