import { describe, expect, it } from "vitest"
import { type ApiCall, program, pythonLiteral } from "./snippets"

const BASE = "http://127.0.0.1:8080/v1"

const createRun: ApiCall = {
  method: "beta.threads.runs.create",
  http: "POST",
  path: "/threads/{thread_id}/runs",
  ids: { thread_id: "thread_1" },
  body: { assistant_id: "asst_1", stream: true },
}
const submit: ApiCall = {
  method: "beta.threads.runs.submit_tool_outputs",
  http: "POST",
  path: "/threads/{thread_id}/runs/{run_id}/submit_tool_outputs",
  ids: { thread_id: "thread_1", run_id: "run_1" },
  body: { tool_outputs: [{ tool_call_id: "call_1", output: "It's cold: 3°" }] },
}
const steps: ApiCall = {
  method: "beta.threads.runs.steps.list",
  http: "GET",
  path: "/threads/{thread_id}/runs/{run_id}/steps",
  ids: { thread_id: "thread_1", run_id: "run_1" },
  query: { order: "asc", include: ["step_details.x[*].y"] },
}
const requests: ApiCall = {
  http: "GET",
  path: "/threads/{thread_id}/runs/{run_id}/model_requests",
  ids: { thread_id: "thread_1", run_id: "run_1" },
}
const upload: ApiCall = {
  method: "files.create",
  http: "POST",
  path: "/files",
  file: "my notes.pdf",
  body: { purpose: "assistants" },
}
const download: ApiCall = {
  method: "files.content",
  http: "GET",
  path: "/files/{file_id}/content",
  ids: { file_id: "file-1" },
  saveAs: "plot.png",
}

describe("Python", () => {
  it("reads a stream", () => {
    expect(program("python", [createRun], BASE)).toBe(`import os
from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8080/v1", api_key=os.environ.get("OPENAI_API_KEY", "none"))

for event in client.beta.threads.runs.create(thread_id="thread_1", assistant_id="asst_1", stream=True):
    print(event)
`)
  })

  it("breaks what is too long for a line", () => {
    expect(program("python", [submit], BASE)).toContain(`
print(client.beta.threads.runs.submit_tool_outputs(
    thread_id="thread_1",
    run_id="run_1",
    tool_outputs=[{"tool_call_id": "call_1", "output": "It's cold: 3°"}],
))`)
  })

  it("sends and saves files", () => {
    expect(program("python", [upload, download], BASE)).toContain(`
print(client.files.create(file=open("my notes.pdf", "rb"), purpose="assistants"))

client.files.content(file_id="file-1").write_to_file("plot.png")`)
  })

  it("asks by path for what the SDK has no method for", () => {
    const path = "/threads/thread_1/runs/run_1/model_requests"
    expect(program("python", [requests], BASE)).toContain(`print(client.get("${path}", cast_to=object))`)
  })

  it("has its own words for null and truth", () => {
    expect(pythonLiteral({ a: [null, true, false, 1.5, 'q"\n'] })).toBe(
      '{"a": [None, True, False, 1.5, "q\\"\\n"]}',
    )
  })
})

describe("Node", () => {
  it("reads a stream", () => {
    expect(program("node", [createRun], BASE)).toBe(`import OpenAI from "openai";

const client = new OpenAI({ baseURL: "http://127.0.0.1:8080/v1", apiKey: process.env.OPENAI_API_KEY ?? "none" });

for await (const event of await client.beta.threads.runs.create("thread_1", { assistant_id: "asst_1", stream: true })) {
  console.log(event);
}
`)
  })

  it("puts the last id first, and spells methods its own way", () => {
    expect(program("node", [submit], BASE)).toContain(`submitToolOutputs("run_1", {
    thread_id: "thread_1",
    tool_outputs: [{ tool_call_id: "call_1", output: "It's cold: 3°" }],
})`)
  })

  it("sends and saves files", () => {
    const both = program("node", [upload, download], BASE)
    expect(both).toContain('import fs from "node:fs";')
    expect(both).toContain(
      'client.files.create({ file: fs.createReadStream("my notes.pdf"), purpose: "assistants" })',
    )
    expect(both).toContain(
      'fs.writeFileSync("plot.png", Buffer.from(await (await client.files.content("file-1")).arrayBuffer()));',
    )
  })
})

describe("curl", () => {
  it("keeps the shell from reading what is sent", () => {
    expect(
      program("curl", [submit], BASE),
    ).toBe(`curl ${BASE}/threads/thread_1/runs/run_1/submit_tool_outputs \\
  -H "Authorization: Bearer \${OPENAI_API_KEY:-none}" \\
  -H "OpenAI-Beta: assistants=v2" \\
  -H "Content-Type: application/json" \\
  -d '{
  "tool_outputs": [
    {
      "tool_call_id": "call_1",
      "output": "It'\\''s cold: 3°"
    }
  ]
}'
`)
  })

  it("writes lists into the query", () => {
    expect(program("curl", [steps], BASE)).toContain(`steps?order=asc&include[]=step_details.x%5B*%5D.y'`)
  })

  it("sends and saves files", () => {
    expect(program("curl", [upload], BASE)).toContain("-F purpose=assistants \\\n  -F 'file=@my notes.pdf'")
    expect(program("curl", [download], BASE)).toContain("-o plot.png")
  })

  it("posts without a body", () => {
    const cancel: ApiCall = {
      http: "POST",
      path: "/threads/{thread_id}/runs/{run_id}/cancel",
      ids: submit.ids,
    }
    expect(program("curl", [cancel], BASE)).toContain("-X POST")
  })
})
