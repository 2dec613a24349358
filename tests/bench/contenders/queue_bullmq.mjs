// BullMQ: node queue_bullmq.mjs worker|enqueue VALKEY_SOCKET. Arguments as in tally.py.
import { Queue, Worker } from 'bullmq'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

const [role, path] = process.argv.slice(2)
const connection = { path, maxRetriesPerRequest: null }
const options = { removeOnComplete: true }
const waits = new Map()

const started = ({ run, count, at }) => {
  if (!waits.has(run)) waits.set(run, [])
  const known = waits.get(run)
  known.push(Number(process.hrtime.bigint() - BigInt(at)) / 1e6)
  if (known.length < count) return
  known.sort((a, b) => a - b)
  const [p50_ms, p99_ms] = [known[count >> 1], known[Math.floor((count - 1) * 0.99)]]
  console.log(JSON.stringify({ run, p50_ms, p99_ms }))
  waits.delete(run)
}

if (role === 'worker') {
  const worker = new Worker('bench', async (job) => started(job.data), {
    connection,
    concurrency: 16,
  })
  await worker.waitUntilReady()
  console.log('ready')
} else {
  const queue = new Queue('bench', { connection })
  await queue.waitUntilReady()
  console.log('ready')
  const enqueue = (run, count) =>
    queue.add('job', { run, count, at: String(process.hrtime.bigint()) }, options)
  for await (const line of createInterface({ input: process.stdin })) {
    const [run, count, pause_s] = line.split(' ').map(Number)
    if (pause_s) {
      for (let i = 0; i < count; i++) {
        await enqueue(run, count)
        await sleep(pause_s * 1000)
      }
    } else {
      for (let i = 0; i < count; i += 100) {
        await Promise.all(
          Array.from({ length: Math.min(100, count - i) }, () => enqueue(run, count)),
        )
      }
    }
  }
  process.exit(0)
}
