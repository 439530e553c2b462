import { fileURLToPath } from 'node:url'
import { defineConfig, type UserConfig } from 'vite'

/** The page, built into dist/web; it needs nothing from elsewhere. */
const config: UserConfig = defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: './',
  build: { outDir: fileURLToPath(new URL('../../dist/web', import.meta.url)), emptyOutDir: true, target: 'es2022' },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
})

export { config as default }
