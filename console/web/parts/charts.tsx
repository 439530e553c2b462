import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { points } from '../state.ts'

interface Series {
  readonly label: string
  readonly color: string
  readonly fill?: boolean
}

interface ChartProps {
  readonly title: string
  readonly series: readonly Series[]
  readonly data: uPlot.AlignedData
}

const HEIGHT_PX = 150

/** A line chart of the last five minutes that follows its container's width and the theme's colours. */
function Chart({ title, series, data }: ChartProps) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)

  useEffect(() => {
    const element = box.current!
    const theme = matchMedia('(prefers-color-scheme: dark)')
    const make = (): void => {
      plot.current?.destroy()
      plot.current = new uPlot(optionsOf(series, element.clientWidth), data, element)
    }
    make()
    const resize = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT_PX }))
    resize.observe(element)
    theme.addEventListener('change', make)
    return () => {
      resize.disconnect()
      theme.removeEventListener('change', make)
      plot.current?.destroy()
    }
  }, [])

  useEffect(() => {
    plot.current?.setData(data)
  }, [data])

  return (
    <figure>
      <figcaption>
        {title}
        {series.map(({ label, color }) => (
          <span key={label} class="key" style={{ '--key': `var(${color})` }}>
            {label}
          </span>
        ))}
      </figcaption>
      <div ref={box} />
    </figure>
  )
}

function optionsOf(series: readonly Series[], width: number): uPlot.Options {
  const style = getComputedStyle(document.documentElement)
  const color = (name: string): string => style.getPropertyValue(name).trim()
  const axis: uPlot.Axis = {
    stroke: color('--faint'),
    grid: { stroke: color('--line'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui, sans-serif',
  }
  return {
    width,
    height: HEIGHT_PX,
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    scales: { y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.15 : 1] } },
    axes: [
      { ...axis, grid: { show: false }, space: 80, size: 28, values: (_plot, ticks) => ticks.map(wallTime) },
      { ...axis, size: 52, space: 36, values: (_plot, ticks) => ticks.map(compact) },
    ],
    series: [
      {},
      ...series.map((line) => ({
        label: line.label,
        stroke: color(line.color),
        width: 1.75,
        points: { show: false },
        ...(line.fill ? { fill: `${color(line.color)}22` } : {}),
      })),
    ],
  }
}

function wallTime(epochS: number): string {
  return new Date(epochS * 1000).toTimeString().slice(0, 8)
}

function compact(value: number): string {
  return value >= 1000 ? `${Number((value / 1000).toFixed(1))}k` : String(Number(value.toFixed(1)))
}

const THROUGHPUT: readonly Series[] = [{ label: 'events/s', color: '--accent', fill: true }]
const LATENCY: readonly Series[] = [
  { label: 'p50', color: '--accent' },
  { label: 'p99', color: '--amber' },
]
const FLAGGED: readonly Series[] = [{ label: 'basis points of value', color: '--red', fill: true }]

export function Charts() {
  const { timeS, eventsPerSecond, p50Ms, p99Ms, flaggedShareBp } = points.value
  return (
    <section class="charts" aria-label="The last five minutes">
      <Chart title="Throughput" series={THROUGHPUT} data={[timeS, eventsPerSecond]} />
      <Chart title="Latency, ms" series={LATENCY} data={[timeS, p50Ms, p99Ms]} />
      <Chart title="Flagged" series={FLAGGED} data={[timeS, flaggedShareBp]} />
    </section>
  )
}
