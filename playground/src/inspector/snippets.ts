/** A request to the API, as the SDKs and the wire have it. */
export interface ApiCall {
  /** The SDKs' method, in Python's spelling: `beta.threads.runs.create`. Without it, the request is made by path. */
  readonly method?: string
  readonly http: "GET" | "POST" | "DELETE"
  /** The path below `/v1`, with the names of its ids in braces: `/threads/{thread_id}/runs`. */
  readonly path: string
  readonly ids?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, unknown>>
  readonly body?: Readonly<Record<string, unknown>>
  /** The file on the caller's disk that is sent as the field `file`. */
  readonly file?: string
  /** The answer is bytes; they are written to this file. */
  readonly saveAs?: string
}

export type Language = "python" | "node" | "curl"
export const LANGUAGES: readonly Language[] = ["python", "node", "curl"]

/** A program that makes these calls, one after the other, against this server. */
export function program(language: Language, calls: readonly ApiCall[], baseUrl: string): string {
  const { opening, call } = { python, node, curl }[language](baseUrl)
  const blocks = calls.map((each) => call(each))
  return `${[opening(calls), ...blocks].filter(Boolean).join("\n\n")}\n`
}

interface Dialect {
  opening(calls: readonly ApiCall[]): string
  call(call: ApiCall): string
}

const streams = (call: ApiCall) => call.body?.stream === true

// Python ---------------------------------------------------------------------------------------------------

function python(baseUrl: string): Dialect {
  return {
    opening: () =>
      `import os\nfrom openai import OpenAI\n\nclient = OpenAI(base_url=${pythonLiteral(baseUrl)}, ` +
      `api_key=os.environ.get("OPENAI_API_KEY", "none"))`,
    call(call) {
      const request = call.method ? pythonMethod(call, call.method) : pythonPath(call)
      if (call.saveAs) return `${request}.write_to_file(${pythonLiteral(call.saveAs)})`
      if (streams(call)) return `for event in ${request}:\n    print(event)`
      return `print(${request})`
    },
  }
}

function pythonMethod(call: ApiCall, method: string): string {
  const named = Object.entries({ ...call.ids, ...call.query, ...call.body })
  const values = named.map(([name, value]) => `${name}=${pythonLiteral(value, 1)}`)
  const file = call.file === undefined ? [] : [`file=open(${pythonLiteral(call.file)}, "rb")`]
  return `client.${method}(${listed([...file, ...values], 0, 1)})`
}

function pythonPath(call: ApiCall): string {
  const values = [pythonLiteral(filledPath(call)), "cast_to=object"]
  if (call.body) values.push(`body=${pythonLiteral(call.body, 1)}`)
  if (call.query) values.push(`options={"params": ${pythonLiteral(bracketed(call.query), 1)}}`)
  return `client.${call.http.toLowerCase()}(${listed(values, 0, 1)})`
}

export function pythonLiteral(value: unknown, depth = 0): string {
  if (value === null || value === undefined) return "None"
  if (value === true) return "True"
  if (value === false) return "False"
  if (Array.isArray(value)) {
    return `[${listed(
      value.map((item) => pythonLiteral(item, depth + 1)),
      depth,
    )}]`
  }
  if (typeof value === "object") {
    const items = Object.entries(value).map(
      ([name, item]) => `${JSON.stringify(name)}: ${pythonLiteral(item, depth + 1)}`,
    )
    return `{${listed(items, depth)}}`
  }
  // JSON's texts and numbers are Python's, too.
  return JSON.stringify(value)
}

// Node -----------------------------------------------------------------------------------------------------

function node(baseUrl: string): Dialect {
  return {
    opening(calls) {
      const needsFiles = calls.some(({ file, saveAs }) => file !== undefined || saveAs !== undefined)
      const imports = `${needsFiles ? 'import fs from "node:fs";\n' : ""}import OpenAI from "openai";`
      return `${imports}\n\nconst client = new OpenAI({ baseURL: ${JSON.stringify(baseUrl)}, apiKey: process.env.OPENAI_API_KEY ?? "none" });`
    },
    call(call) {
      const request = `await ${call.method ? nodeMethod(call, call.method) : nodePath(call)}`
      if (call.saveAs) {
        const bytes = `Buffer.from(await (${request}).arrayBuffer())`
        return `fs.writeFileSync(${JSON.stringify(call.saveAs)}, ${bytes});`
      }
      if (streams(call)) return `for await (const event of ${request}) {\n  console.log(event);\n}`
      return `console.log(${request});`
    },
  }
}

/** The last id of the path comes first; the others are among the parameters. */
function nodeMethod(call: ApiCall, method: string): string {
  const ids = Object.entries(call.ids ?? {})
  const last = ids.pop()
  const parameters = { ...Object.fromEntries(ids), ...call.query, ...call.body }
  const named = Object.entries(parameters).map(
    ([name, value]) => `${property(name)}: ${nodeLiteral(value, 1)}`,
  )
  if (call.file !== undefined) named.unshift(`file: fs.createReadStream(${JSON.stringify(call.file)})`)
  const values = [
    ...(last ? [JSON.stringify(last[1])] : []),
    ...(named.length > 0 ? [`{${listed(named, 0, 1, " ")}}`] : []),
  ]
  const name = method.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
  return `client.${name}(${values.join(", ")})`
}

function nodePath(call: ApiCall): string {
  const options: string[] = []
  if (call.query) options.push(`query: ${nodeLiteral(bracketed(call.query), 1)}`)
  if (call.body) options.push(`body: ${nodeLiteral(call.body, 1)}`)
  const values = [JSON.stringify(filledPath(call))]
  if (options.length > 0) values.push(`{${listed(options, 0, 1, " ")}}`)
  return `client.${call.http.toLowerCase()}(${values.join(", ")})`
}

function nodeLiteral(value: unknown, depth: number): string {
  if (Array.isArray(value)) {
    const items = value.map((item) => nodeLiteral(item, depth + 1))
    return `[${listed(items, depth)}]`
  }
  if (typeof value === "object" && value !== null) {
    const items = Object.entries(value).map(
      ([name, item]) => `${property(name)}: ${nodeLiteral(item, depth + 1)}`,
    )
    return `{${listed(items, depth, depth + 1, " ")}}`
  }
  return JSON.stringify(value)
}

function property(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name)
}

// curl -----------------------------------------------------------------------------------------------------

function curl(baseUrl: string): Dialect {
  return {
    opening: () => "",
    call(call) {
      const parts = [`curl ${quoted(baseUrl + filledPath(call) + queryOf(call))}`]
      if (call.http === "DELETE") parts.push("-X DELETE")
      // curl posts by itself where there is something to send.
      if (call.http === "POST" && !call.body && call.file === undefined) parts.push("-X POST")
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell fills it in
      parts.push('-H "Authorization: Bearer ${OPENAI_API_KEY:-none}"')
      if (/^\/(assistants|threads)/.test(call.path)) parts.push('-H "OpenAI-Beta: assistants=v2"')
      if (call.file !== undefined) {
        const fields = Object.entries(call.body ?? {}).map(
          ([name, value]) => `-F ${quoted(`${name}=${value}`)}`,
        )
        parts.push(...fields, `-F ${quoted(`file=@${call.file}`)}`)
      } else if (call.body) {
        parts.push('-H "Content-Type: application/json"', `-d ${quoted(JSON.stringify(call.body, null, 2))}`)
      }
      if (streams(call)) parts.push("--no-buffer")
      if (call.saveAs) parts.push(`-o ${quoted(call.saveAs)}`)
      return parts.join(" \\\n  ")
    },
  }
}

function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

function queryOf({ query }: ApiCall): string {
  if (!query) return ""
  const pairs = Object.entries(bracketed(query)).flatMap(([name, value]) =>
    [value].flat().map((item) => `${name}=${encodeURIComponent(String(item))}`),
  )
  return pairs.length > 0 ? `?${pairs.join("&")}` : ""
}

// What they share ------------------------------------------------------------------------------------------

function filledPath({ path, ids }: ApiCall): string {
  return path.replace(/\{(\w+)\}/g, (name, id: string) => encodeURIComponent(ids?.[id] ?? name))
}

/** A query as the API has it on the wire, where the names of lists end in brackets. */
function bracketed(query: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const pairs = Object.entries(query).map(([name, value]) => [
    Array.isArray(value) ? `${name}[]` : name,
    value,
  ])
  return Object.fromEntries(pairs) as Record<string, unknown>
}

// What goes before the first item takes room, too.
const LINE = 76

/** Items on one line where they fit, else one a line. `depth` is that of what holds them. */
function listed(items: readonly string[], depth: number, inner = depth + 1, padding = ""): string {
  if (items.length === 0) return ""
  const line = items.join(", ")
  if (line.length + 4 * depth < LINE && !line.includes("\n")) return padding + line + padding
  const indent = "    ".repeat(inner)
  return `\n${items.map((item) => `${indent}${item},\n`).join("")}${"    ".repeat(depth)}`
}
