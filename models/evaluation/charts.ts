/** Small charts as SVG text, for pages that must stand alone: no script, no font, no address but their own. */
export interface Series {
  readonly name: string
  readonly points: readonly (readonly [number, number])[]
}

export interface ChartOptions {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly Series[]
  /** A dashed line across, where x has this value. */
  readonly mark?: { readonly x: number; readonly label: string }
  /** The straight line on which both axes are equal. */
  readonly diagonal?: boolean
}

export interface Axis {
  readonly label: string
  readonly from: number
  readonly to: number
  /** Equal ratios at equal distances; `from` must be above 0, and what is not above 0 is left out. */
  readonly log?: boolean
}

/** Lines through points; the colour of series n is class `series-n` of CHART_STYLE. */
export function lineChart(options: ChartOptions): string {
  const lines = options.series.map(({ points }, n) => {
    const drawn = points.filter(([x, y]) => isOn(options.x, x) && isOn(options.y, y))
    const path = drawn.map(([x, y]) => `${place(options.x, x, LEFT, RIGHT)},${place(options.y, y, BOTTOM, TOP)}`)
    const dots = drawn.length <= DOTS_MAX ? path.map((at) => dot(at, n)).join('') : ''
    return `<polyline class="line series-${n}" points="${path.join(' ')}"/>${dots}`
  })
  return frame(options, lines.join(''))
}

/** Steps of equal width from `x.from` to `x.to`, one line of heights for each series. */
export function stepChart(
  options: ChartOptions,
  heights: readonly { readonly name: string; readonly values: readonly number[] }[],
): string {
  const series = heights.map(({ name, values }) => {
    const width = (options.x.to - options.x.from) / values.length
    const points = values.flatMap((value, i): [number, number][] => [
      [options.x.from + i * width, Math.max(value, options.y.from)],
      [options.x.from + (i + 1) * width, Math.max(value, options.y.from)],
    ])
    return { name, points }
  })
  return lineChart({ ...options, series })
}

/** A bar in a table cell, `share` of its width. */
export function bar(share: number): string {
  const width = Math.round(100 * Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0)))
  return `<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="100" height="10"/><rect class="fill" width="${width}" height="10"/></svg>`
}

export const CHART_STYLE = `
svg.chart{width:100%;max-width:34rem;height:auto;display:block}
svg.chart text{font:12px system-ui,sans-serif;fill:var(--ink-soft)}
svg.chart .title{font-size:14px;font-weight:600;fill:var(--ink)}
svg.chart .grid{stroke:var(--line);stroke-width:1}
svg.chart .line{fill:none;stroke-width:2;stroke-linejoin:round}
svg.chart .mark,svg.chart .diagonal{stroke:var(--ink-soft);stroke-dasharray:4 4;fill:none}
svg.bar{width:6rem;height:.6rem;vertical-align:middle}
svg.bar .track{fill:var(--line)} svg.bar .fill{fill:var(--c0)}
${[0, 1, 2, 3, 4, 5].map((n) => `.series-${n}{stroke:var(--c${n})} .dot.series-${n},.key.series-${n}{fill:var(--c${n})}`).join('\n')}
`

/** Text that may stand in HTML and in attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)
}

function frame(options: ChartOptions, content: string): string {
  const { title, x, y, series, mark } = options
  const grid = [
    ...ticks(x).map((value) => {
      const at = place(x, value, LEFT, RIGHT)
      return `<line class="grid" x1="${at}" y1="${TOP}" x2="${at}" y2="${BOTTOM}"/><text x="${at}" y="${BOTTOM + 16}" text-anchor="middle">${tickText(value)}</text>`
    }),
    ...ticks(y).map((value) => {
      const at = place(y, value, BOTTOM, TOP)
      return `<line class="grid" x1="${LEFT}" y1="${at}" x2="${RIGHT}" y2="${at}"/><text x="${LEFT - 6}" y="${at + 4}" text-anchor="end">${tickText(value)}</text>`
    }),
  ]
  const keys = series.map(({ name }, n) => {
    const at = LEFT + (n % 3) * 165
    const line = HEIGHT - 34 + 17 * Math.floor(n / 3)
    return `<rect class="key series-${n}" x="${at}" y="${line - 9}" width="10" height="10"/><text x="${at + 15}" y="${line}">${escapeHtml(name)}</text>`
  })
  const marked =
    mark === undefined || !isOn(x, mark.x)
      ? ''
      : `<line class="mark" x1="${place(x, mark.x, LEFT, RIGHT)}" y1="${TOP}" x2="${place(x, mark.x, LEFT, RIGHT)}" y2="${BOTTOM}"/><text x="${place(x, mark.x, LEFT, RIGHT) + 4}" y="${TOP + 12}">${escapeHtml(mark.label)}</text>`
  const diagonal =
    options.diagonal === true ? `<line class="diagonal" x1="${LEFT}" y1="${BOTTOM}" x2="${RIGHT}" y2="${TOP}"/>` : ''
  return `<svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(title)}"><text class="title" x="${LEFT}" y="18">${escapeHtml(title)}</text>${grid.join('')}<text x="${(LEFT + RIGHT) / 2}" y="${BOTTOM + 32}" text-anchor="middle">${escapeHtml(x.label)}</text><text x="14" y="${(TOP + BOTTOM) / 2}" text-anchor="middle" transform="rotate(-90 14 ${(TOP + BOTTOM) / 2})">${escapeHtml(y.label)}</text>${diagonal}${marked}${content}${keys.join('')}</svg>`
}

function dot(at: string, series: number): string {
  const [x, y] = at.split(',')
  return `<circle class="dot series-${series}" cx="${x}" cy="${y}" r="3"/>`
}

function place(axis: Axis, value: number, start: number, end: number): number {
  const share =
    axis.log === true
      ? Math.log(value / axis.from) / Math.log(axis.to / axis.from)
      : (value - axis.from) / (axis.to - axis.from)
  return Math.round(10 * (start + Math.min(1, Math.max(0, share)) * (end - start))) / 10
}

function isOn(axis: Axis, value: number): boolean {
  return Number.isFinite(value) && (axis.log !== true || value > 0)
}

function ticks(axis: Axis): number[] {
  if (axis.log === true) {
    const first = Math.ceil(Math.log10(axis.from) - 1e-9)
    const last = Math.floor(Math.log10(axis.to) + 1e-9)
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => 10 ** (first + i))
  }
  return [0, 0.25, 0.5, 0.75, 1].map((share) => axis.from + share * (axis.to - axis.from))
}

function tickText(value: number): string {
  return Number(value.toPrecision(3)).toString()
}

const WIDTH = 560
const HEIGHT = 360
const LEFT = 64
const RIGHT = 544
const TOP = 32
const BOTTOM = 272
const DOTS_MAX = 20
