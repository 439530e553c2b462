import type { DataPaths } from '#infra/data-folder.ts'
import { SliceBuffers } from '#pipeline/slice.ts'
import type { Config } from '#schemas/config.ts'
import type { FeatureSpec } from '#schemas/feature-spec.ts'
import { foldAll, openRuntime, publishRandomModel } from './bench-runtime.ts'
import { eventMaker } from './features.ts'
import { ordinaryLoad } from './ordinary-load.ts'

/** A network of the usual size in charge, so that requests are scored whether or not models were shipped. */
export async function placeModel(config: Config, paths: DataPaths, spec: FeatureSpec): Promise<void> {
  const runtime = await openRuntime(config, paths, spec)
  const slice = new SliceBuffers(config.path.sliceRowsMax, runtime.layout)
  const next = eventMaker(ordinaryLoad(1_000, 100, 20_480))
  foldAll(
    runtime,
    slice,
    Array.from({ length: 20_480 }, (_, n) => runtime.codec.transaction.encode(next(n))),
  )
  await publishRandomModel(runtime, slice)
  await runtime.close()
}
