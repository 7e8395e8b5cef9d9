import type OpenAI from "openai"
import type { Annotation, Content, Message, RunStep, ToolCall } from "./objects"

type MessageDelta = OpenAI.Beta.Threads.MessageDelta
type StepDelta = OpenAI.Beta.Threads.Runs.RunStepDelta
type ContentDelta = OpenAI.Beta.Threads.MessageContentDelta
type CallDelta = OpenAI.Beta.Threads.Runs.ToolCallDelta
type CodeOutput = OpenAI.Beta.Threads.Runs.CodeInterpreterToolCall.CodeInterpreter["outputs"][number]

/** Objects with what a delta of theirs adds. Where a delta names no part that can be made, nothing changes. */
export const grown = {
  message(message: Message, delta: MessageDelta): Message {
    const content = [...message.content]
    for (const part of delta.content ?? []) {
      content[part.index] = grownPart(content[part.index], part)
    }
    return { ...message, content }
  },

  step(step: RunStep, delta: StepDelta): RunStep {
    if (delta.step_details?.type !== "tool_calls" || step.step_details.type !== "tool_calls") {
      return step
    }
    const calls = [...step.step_details.tool_calls]
    for (const call of delta.step_details.tool_calls ?? []) {
      calls[call.index] = grownCall(calls[call.index], call)
    }
    return { ...step, step_details: { type: "tool_calls", tool_calls: calls } }
  },
}

function grownPart(part: Content | undefined, delta: ContentDelta): Content {
  switch (delta.type) {
    case "text": {
      const text = part?.type === "text" ? part.text : { value: "", annotations: [] }
      const annotations = [...text.annotations]
      for (const { index, ...annotation } of delta.text?.annotations ?? []) {
        annotations[index] = annotation as Annotation
      }
      return { type: "text", text: { value: text.value + (delta.text?.value ?? ""), annotations } }
    }
    case "refusal": {
      const said = part?.type === "refusal" ? part.refusal : ""
      return { type: "refusal", refusal: said + (delta.refusal ?? "") }
    }
    case "image_file":
      return { type: "image_file", image_file: { file_id: "", ...delta.image_file } }
    case "image_url":
      return { type: "image_url", image_url: { url: "", ...delta.image_url } }
  }
}

function grownCall(call: ToolCall | undefined, delta: CallDelta): ToolCall {
  const id = call?.id ?? delta.id ?? ""
  switch (delta.type) {
    case "code_interpreter": {
      const known = call?.type === "code_interpreter" ? call.code_interpreter : { input: "", outputs: [] }
      const outputs = [...known.outputs]
      for (const output of delta.code_interpreter?.outputs ?? []) {
        outputs[output.index] = grownOutput(outputs[output.index], output)
      }
      const input = known.input + (delta.code_interpreter?.input ?? "")
      return { id, type: "code_interpreter", code_interpreter: { input, outputs } }
    }
    case "function": {
      const known = call?.type === "function" ? call.function : { name: "", arguments: "", output: null }
      return {
        id,
        type: "function",
        function: {
          name: known.name + (delta.function?.name ?? ""),
          arguments: known.arguments + (delta.function?.arguments ?? ""),
          output: delta.function?.output ?? known.output,
        },
      }
    }
    case "file_search": {
      const known = call?.type === "file_search" ? call.file_search : {}
      return { id, type: "file_search", file_search: { ...known, ...(delta.file_search as object) } }
    }
  }
}

type OutputDelta =
  | OpenAI.Beta.Threads.Runs.CodeInterpreterLogs
  | OpenAI.Beta.Threads.Runs.CodeInterpreterOutputImage

function grownOutput(output: CodeOutput | undefined, delta: OutputDelta): CodeOutput {
  if (delta.type === "image") {
    return { type: "image", image: { file_id: delta.image?.file_id ?? "" } }
  }
  const logs = output?.type === "logs" ? output.logs : ""
  return { type: "logs", logs: logs + (delta.logs ?? "") }
}
