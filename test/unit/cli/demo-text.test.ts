import assert from 'node:assert/strict'
import { test } from 'node:test'
import { welcomeText } from '#cli/demo-text.ts'

const told = (dataFolder: string, workingFolder = '/home/a'): string =>
  welcomeText({ pageUrl: 'http://127.0.0.1:1/', speed: 50, dataFolder, workingFolder })

test('the command for the tables names the folder that is used, as one would type it', () => {
  assert.match(told('/home/a/.weir/demo'), /weir query --data \.weir\/demo queue_today/)
  assert.match(told('/home/a/elsewhere/demo'), /--data elsewhere\/demo queue_today/)
  assert.match(told('/data/weir/demo'), /--data \/data\/weir\/demo queue_today/)
  assert.match(told('/home/a/my data/demo'), /--data 'my data\/demo' queue_today/)
  assert.match(told("/home/a/it's/demo"), /--data 'it'\\''s\/demo' queue_today/)
})
