// graphql-yoga with graphql-ws and ioredis for subscriptions, pg for queries and mutations; put
// together as their documentation shows: node yoga.mjs PORT VALKEY_SOCKET POSTGRES_FOLDER DATABASE
import { createRedisEventTarget } from '@graphql-yoga/redis-event-target'
import { useServer } from 'graphql-ws/use/ws'
import { createPubSub, createSchema, createYoga, Repeater } from 'graphql-yoga'
import { Redis } from 'ioredis'
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import pg from 'pg'
import { WebSocketServer } from 'ws'

const [port, valkey, postgres, database] = process.argv.slice(2)
const redis = new Redis(valkey)
const pubSub = createPubSub({
  eventTarget: createRedisEventTarget({ publishClient: redis, subscribeClient: new Redis(valkey) }),
})
const pool = new pg.Pool({ host: postgres, database, user: 'mintari', max: 10 })

const typeDefs = /* GraphQL */ `
  type Picture { url: String! }
  type JobError { code: String!, message: String! }
  type Job {
    id: ID! variant: Int! version: Int! state: String! stage: String progress: Int!
    progressKind: String! seed: Int! seedLocked: Boolean! provider: String! model: String!
    retryCount: Int! generationTimeMs: Int createdAt: String! startedAt: String finishedAt: String
    preview: Picture image: Picture error: JobError
  }
  type Generation { id: ID! jobs: [Job!]! }
  type GenerationStarted { generation: Generation! }
  input StartGenerationInput { prompt: String!, size: String!, variantCount: Int! }
  type Query { job(id: ID!): Job }
  type Mutation { startGeneration(input: StartGenerationInput!): GenerationStarted! }
  type Subscription { jobProgress(jobIds: [ID!]!): Job! }
`

const READ = {
  name: 'job',
  text: `SELECT id, variant, version, state, stage, progress, progress_kind AS "progressKind", seed,
    seed_locked AS "seedLocked", provider, model, retry_count AS "retryCount",
    generation_time_ms AS "generationTimeMs", created_at AS "createdAt",
    started_at AS "startedAt", finished_at AS "finishedAt" FROM jobs WHERE id = $1`,
}
const INSERT = {
  name: 'insert',
  text: `INSERT INTO bench_generations (id, prompt, size, state) VALUES ($1, $2, $3, 'PENDING')
    RETURNING id, state`,
}

const resolvers = {
  Query: {
    job: async (_, { id }) => {
      const row = (await pool.query({ ...READ, values: [id] })).rows[0]
      return row && { ...row, version: Number(row.version) }
    },
  },
  Job: {
    createdAt: (job) => time(job.createdAt),
    startedAt: (job) => time(job.startedAt),
    finishedAt: (job) => time(job.finishedAt),
  },
  Mutation: {
    startGeneration: async (_, { input }) => {
      const values = [randomUUID(), input.prompt, input.size]
      const row = (await pool.query({ ...INSERT, values })).rows[0]
      await redis.lpush('bench-queue', JSON.stringify({ id: row.id }))
      const job = { id: row.id, version: 1, state: row.state }
      return { generation: { id: row.id, jobs: [job] } }
    },
  },
  Subscription: {
    jobProgress: {
      subscribe: async (_, { jobIds }) => {
        const followed = jobIds.map((id) => pubSub.subscribe(`bench:${id}`))
        const known = (await redis.mget(jobIds.map((id) => `bench:${id}`))).map(JSON.parse)
        return snapshotFirst(known, followed.length > 1 ? Repeater.merge(followed) : followed[0])
      },
      resolve: (job) => job,
    },
  },
}

// What is known, then what is published, without another generator around each message.
const snapshotFirst = (known, followed) => ({
  next: async () => (known.length ? { value: known.shift(), done: false } : followed.next()),
  return: () => followed.return(),
  [Symbol.asyncIterator]() {
    return this
  },
})
const time = (at) => (at instanceof Date ? at.toISOString() : at)

const yoga = createYoga({
  schema: createSchema({ typeDefs, resolvers }),
  graphiql: false,
  landingPage: false,
  logging: false,
  maskedErrors: false,
})
const server = createServer(yoga)
useServer(
  {
    execute: (args) => args.rootValue.execute(args),
    subscribe: (args) => args.rootValue.subscribe(args),
    onSubscribe: async (ctx, _id, params) => {
      const { schema, execute, subscribe, contextFactory, parse, validate } = yoga.getEnveloped({
        ...ctx,
        req: ctx.extra.request,
        socket: ctx.extra.socket,
        params,
      })
      const args = {
        schema,
        operationName: params.operationName,
        document: parse(params.query),
        variableValues: params.variables,
        contextValue: await contextFactory(),
        rootValue: { execute, subscribe },
      }
      const errors = validate(args.schema, args.document)
      return errors.length ? errors : args
    },
  },
  new WebSocketServer({ server, path: '/graphql' }),
)
server.listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 }, () => console.log('ready'))
