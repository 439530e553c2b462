/**
 * Writes ONNX files: the few messages of the ONNX protobuf schema that a graph needs, field numbers as published in
 * onnx.proto3. Opset 17 and IR version 8 are the pair that the widest range of runtimes load.
 */
export interface OnnxGraph {
  readonly name: string
  readonly nodes: readonly OnnxNode[]
  readonly initializers: readonly OnnxTensor[]
  readonly inputs: readonly OnnxValue[]
  readonly outputs: readonly OnnxValue[]
  /** Versions of further operator sets that the graph uses, by domain: `ai.onnx.ml` has the tree ensembles. */
  readonly opsets?: Readonly<Record<string, number>>
}

export interface OnnxNode {
  readonly op: string
  readonly domain?: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>
}

export type OnnxAttribute =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'ints'; readonly value: ArrayLike<number> }
  | { readonly kind: 'floats'; readonly value: ArrayLike<number> }
  | { readonly kind: 'strings'; readonly value: readonly string[] }

export type OnnxElement = 'float32' | 'uint8' | 'int8' | 'int32' | 'int64'

/** A constant of the graph: weights, axes, shapes. */
export interface OnnxTensor {
  readonly name: string
  readonly dims: readonly number[]
  readonly element: OnnxElement
  readonly values: ArrayLike<number>
}

/** An input or output; a dimension given as text is free (`N`). */
export interface OnnxValue {
  readonly name: string
  readonly element: OnnxElement
  readonly dims: readonly (number | string)[]
}

/** The bytes of `model.onnx`; the same graph gives the same bytes. */
export function writeOnnx(graph: OnnxGraph): Uint8Array {
  const model = new Message()
  model.int(1, 8)
  model.text(2, 'weir')
  model.message(7, writeGraph(graph))
  model.message(8, writeOpset('', 17))
  for (const [domain, version] of Object.entries(graph.opsets ?? {})) model.message(8, writeOpset(domain, version))
  return model.finish()
}

export function floats(name: string, dims: readonly number[], values: ArrayLike<number>): OnnxTensor {
  return { name, dims, element: 'float32', values }
}

export function int64s(name: string, values: readonly number[]): OnnxTensor {
  return { name, dims: [values.length], element: 'int64', values }
}

const ELEMENT_CODE = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7 } as const
const ELEMENT_BYTES = { float32: 4, uint8: 1, int8: 1, int32: 4, int64: 8 } as const

function writeOpset(domain: string, version: number): Message {
  const opset = new Message()
  opset.text(1, domain)
  opset.int(2, version)
  return opset
}

function writeGraph(graph: OnnxGraph): Message {
  const message = new Message()
  for (const node of graph.nodes) message.message(1, writeNode(node))
  message.text(2, graph.name)
  for (const tensor of graph.initializers) message.message(5, writeTensor(tensor))
  for (const input of graph.inputs) message.message(11, writeValue(input))
  for (const output of graph.outputs) message.message(12, writeValue(output))
  return message
}

function writeNode(node: OnnxNode): Message {
  const message = new Message()
  for (const input of node.inputs) message.text(1, input)
  for (const output of node.outputs) message.text(2, output)
  message.text(4, node.op)
  for (const [name, attribute] of Object.entries(node.attributes ?? {})) {
    message.message(5, writeAttribute(name, attribute))
  }
  if (node.domain !== undefined) message.text(7, node.domain)
  return message
}

function writeAttribute(name: string, attribute: OnnxAttribute): Message {
  const message = new Message()
  message.text(1, name)
  switch (attribute.kind) {
    case 'float':
      message.float(2, attribute.value)
      message.int(20, 1)
      break
    case 'int':
      message.int(3, attribute.value)
      message.int(20, 2)
      break
    case 'string':
      message.text(4, attribute.value)
      message.int(20, 3)
      break
    case 'floats':
      message.packedFloats(7, attribute.value)
      message.int(20, 6)
      break
    case 'ints':
      message.packedInts(8, attribute.value)
      message.int(20, 7)
      break
    case 'strings':
      for (const value of attribute.value) message.text(9, value)
      message.int(20, 8)
      break
    default:
      attribute satisfies never
  }
  return message
}

function writeTensor(tensor: OnnxTensor): Message {
  const message = new Message()
  message.packedInts(1, tensor.dims)
  message.int(2, ELEMENT_CODE[tensor.element])
  message.text(8, tensor.name)
  const values = tensor.values
  const width = ELEMENT_BYTES[tensor.element]
  const raw = new Uint8Array(values.length * width)
  const view = new DataView(raw.buffer)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    const at = i * width
    if (tensor.element === 'float32') view.setFloat32(at, value, true)
    else if (tensor.element === 'uint8') view.setUint8(at, value)
    else if (tensor.element === 'int8') view.setInt8(at, value)
    else if (tensor.element === 'int32') view.setInt32(at, value, true)
    else view.setBigInt64(at, BigInt(value), true)
  }
  message.bytes(9, raw)
  return message
}

function writeValue(value: OnnxValue): Message {
  const shape = new Message()
  for (const dim of value.dims) {
    const dimension = new Message()
    if (typeof dim === 'number') dimension.int(1, dim)
    else dimension.text(2, dim)
    shape.message(1, dimension)
  }
  const tensorType = new Message()
  tensorType.int(1, ELEMENT_CODE[value.element])
  tensorType.message(2, shape)
  const type = new Message()
  type.message(1, tensorType)
  const message = new Message()
  message.text(1, value.name)
  message.message(2, type)
  return message
}

/** A protobuf message under construction. */
class Message {
  readonly #parts: Uint8Array[] = []

  int(field: number, value: number): void {
    this.#tag(field, 0)
    this.#varint(value)
  }

  float(field: number, value: number): void {
    this.#tag(field, 5)
    this.#parts.push(new Uint8Array(Float32Array.of(value).buffer))
  }

  text(field: number, value: string): void {
    this.bytes(field, new TextEncoder().encode(value))
  }

  bytes(field: number, value: Uint8Array): void {
    this.#tag(field, 2)
    this.#varint(value.length)
    this.#parts.push(value)
  }

  message(field: number, value: Message): void {
    this.bytes(field, value.finish())
  }

  packedFloats(field: number, values: ArrayLike<number>): void {
    this.bytes(field, new Uint8Array(Float32Array.from(values).buffer))
  }

  packedInts(field: number, values: ArrayLike<number>): void {
    const packed = new Message()
    for (let i = 0; i < values.length; i++) packed.#varint(values[i]!)
    this.bytes(field, packed.finish())
  }

  finish(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#parts))
  }

  #tag(field: number, wireType: number): void {
    this.#varint(field * 8 + wireType)
  }

  /** Base 128, low group first; a negative number is its 64-bit two's complement. */
  #varint(value: number): void {
    let rest = BigInt.asUintN(64, BigInt(value))
    const bytes: number[] = []
    do {
      const group = Number(rest & 0x7fn)
      rest >>= 7n
      bytes.push(rest === 0n ? group : group | 0x80)
    } while (rest !== 0n)
    this.#parts.push(Uint8Array.from(bytes))
  }
}
