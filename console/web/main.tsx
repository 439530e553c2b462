import { render } from 'preact'
import 'uplot/dist/uPlot.min.css'
import './theme.css'
import { followLive, takeToken } from './api.ts'
import { listenToKeys } from './keys.ts'
import { AlertTable } from './parts/alert-table.tsx'
import { Charts } from './parts/charts.tsx'
import { Header } from './parts/header.tsx'
import { Help } from './parts/help.tsx'
import { Tiles } from './parts/tiles.tsx'
import { connection, takeFigures } from './state.ts'

function Page() {
  return (
    <>
      <Header />
      <main>
        <Tiles />
        <Charts />
        <AlertTable />
      </main>
      <Help />
    </>
  )
}

render(<Page />, document.getElementById('app')!)
listenToKeys(document)
void followLive(
  takeToken(),
  takeFigures,
  (state) => {
    connection.value = state
  },
  new AbortController().signal,
)
