import type { InsertFormat, QueryParams, QueryResult } from './store.ts'
import type { PlainStoreError } from './store-errors.ts'

/** Between the service and the embedded engine's process. */
export type ChildRequest =
  | { readonly id: number; readonly op: 'command'; readonly sql: string }
  | {
      readonly id: number
      readonly op: 'insert'
      readonly table: string
      readonly columns: readonly string[]
      /** Holds the rows. Handing them over in the message would copy them twice, and the engine would read them as SQL first. */
      readonly file: string
      readonly format: InsertFormat
      readonly token: string
    }
  | {
      readonly id: number
      readonly op: 'query'
      readonly sql: string
      readonly params: QueryParams
      readonly access: 'own' | 'analyst'
    }

/** Id 0: the engine is ready. */
export type ChildReply =
  | { readonly id: number; readonly result: QueryResult | null; readonly error?: undefined }
  | { readonly id: number; readonly error: PlainStoreError; readonly result?: undefined }
