import { floats, int64s, type OnnxAttribute, type OnnxNode, type OnnxTensor } from '../onnx-writer.ts'

/** Domain of the operators that onnxruntime has beyond the standard ones. */
export const RUNTIME_DOMAIN = 'com.microsoft'

/** Nodes and constants in the order they are asked for; results are named by number. */
export class GraphBuilder {
  readonly nodes: OnnxNode[] = []
  readonly constants = new Map<string, OnnxTensor>()

  add(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
    outputs: readonly string[] = [`t${this.nodes.length}`],
  ): string {
    this.nodes.push({ op, inputs, outputs, attributes })
    return outputs[0]!
  }

  /** An operator that onnxruntime has beyond the standard ones. */
  addOfRuntime(op: string, inputs: readonly string[]): string {
    const output = `t${this.nodes.length}`
    this.nodes.push({ op, domain: RUNTIME_DOMAIN, inputs, outputs: [output] })
    return output
  }

  gemm(rows: string, kernel: string, addend: string, output?: string): string {
    return this.add('Gemm', [rows, kernel, addend], {}, output === undefined ? undefined : [output])
  }

  relu(input: string): string {
    return this.add('Relu', [input])
  }

  constant(name: string, dims: readonly number[], values: ArrayLike<number>): string {
    this.constants.set(name, floats(name, dims, values))
    return name
  }

  tensor(tensor: OnnxTensor): string {
    this.constants.set(tensor.name, tensor)
    return tensor.name
  }

  integers(name: string, values: readonly number[]): string {
    this.constants.set(name, int64s(name, values))
    return name
  }

  /** Two scalars, as Clip wants them. */
  limits(name: string, low: number, high: number): [string, string] {
    return [this.constant(`${name}_low`, [], [low]), this.constant(`${name}_high`, [], [high])]
  }
}
