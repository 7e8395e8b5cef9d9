import type OpenAI from "openai"

/** The API's objects under the names that the API has for them. */
export type Thread = OpenAI.Beta.Thread
export type Message = OpenAI.Beta.Threads.Message
export type Content = OpenAI.Beta.Threads.MessageContent
export type Annotation = OpenAI.Beta.Threads.Annotation
export type Attachment = OpenAI.Beta.Threads.Message.Attachment
export type Run = OpenAI.Beta.Threads.Run
export type RunStep = OpenAI.Beta.Threads.Runs.RunStep
export type ToolCall = OpenAI.Beta.Threads.Runs.ToolCall
export type CodeCall = OpenAI.Beta.Threads.Runs.CodeInterpreterToolCall
export type SearchCall = OpenAI.Beta.Threads.Runs.FileSearchToolCall
export type FunctionCall = OpenAI.Beta.Threads.Runs.FunctionToolCall
export type RequiredCall = OpenAI.Beta.Threads.RequiredActionFunctionToolCall
export type StreamEvent = OpenAI.Beta.AssistantStreamEvent
