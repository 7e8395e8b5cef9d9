import { type Schema, Validator } from "@cfworker/json-schema"
import metaSchema from "ajv/dist/refs/json-schema-draft-07.json"
import type { FunctionDefinition } from "./draft"

// An interpreting validator: those that compile schemas to code are stopped by our content security policy.
const schemas = new Validator(metaSchema as unknown as Schema, "7")

export type FunctionProblem =
  | { kind: "badJson"; detail: string }
  | { kind: "notAnObject" | "noName" | "badName" | "longDescription" | "parametersNotObject" }
  | { kind: "badSchema"; path: string; detail: string }
  | { kind: "openObject"; path: string }
  | { kind: "notRequired"; path: string; name: string }
  | { kind: "unknownRequired"; path: string; name: string }

export type ReadFunction =
  | { definition: FunctionDefinition; problem: null }
  | { definition: null; problem: FunctionProblem }

/** Reads what someone wrote or pasted: a function's definition, or the tool that wraps it. */
export function readFunction(text: string): ReadFunction {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return { definition: null, problem: { kind: "badJson", detail: (error as Error).message } }
  }
  if (isObject(value) && value.type === "function" && isObject(value.function)) value = value.function
  const problem = problemOf(value)
  return problem ? { definition: null, problem } : { definition: value as FunctionDefinition, problem: null }
}

function problemOf(value: unknown): FunctionProblem | null {
  if (!isObject(value)) return { kind: "notAnObject" }
  if (value.name === undefined || value.name === "") return { kind: "noName" }
  if (typeof value.name !== "string" || !/^[a-zA-Z0-9_-]{1,64}$/.test(value.name)) return { kind: "badName" }
  if (typeof value.description === "string" && [...value.description].length > 1024)
    return { kind: "longDescription" }
  if (value.parameters === undefined) return null
  return parametersProblem(value.parameters, value.strict === true)
}

function parametersProblem(parameters: unknown, isStrict: boolean): FunctionProblem | null {
  const { valid, errors } = schemas.validate(parameters)
  if (!valid) {
    // The deepest error is the cause; those before it say only that something below is wrong.
    const cause = errors.reduce((deepest, error) =>
      error.instanceLocation.length > deepest.instanceLocation.length ? error : deepest,
    )
    return { kind: "badSchema", path: pathOf(cause.instanceLocation), detail: cause.error }
  }
  if (!isObject(parameters) || parameters.type !== "object") return { kind: "parametersNotObject" }
  return objectProblem(parameters, "parameters", isStrict)
}

/** What no meta-schema sees: required properties that are not there, and what strict mode asks of each object. */
function objectProblem(
  schema: Record<string, unknown>,
  path: string,
  isStrict: boolean,
): FunctionProblem | null {
  const properties = isObject(schema.properties) ? schema.properties : {}
  const required = Array.isArray(schema.required) ? (schema.required as string[]) : []
  const unknown = required.find((name) => !(name in properties))
  if (schema.type === "object" && unknown !== undefined)
    return { kind: "unknownRequired", path, name: unknown }
  if (schema.type === "object" && isStrict) {
    if (schema.additionalProperties !== false) return { kind: "openObject", path }
    const optional = Object.keys(properties).find((name) => !required.includes(name))
    if (optional !== undefined) return { kind: "notRequired", path, name: optional }
  }
  const below = Object.entries(properties).map(([name, property]) => [`${path}.${name}`, property] as const)
  for (const [place, inner] of [...below, [`${path}[]`, schema.items] as const]) {
    const problem = isObject(inner) ? objectProblem(inner, place, isStrict) : null
    if (problem) return problem
  }
  return null
}

/** "#/properties/city/type" as "parameters.properties.city.type". */
function pathOf(location: string): string {
  return ["parameters", ...location.split("/").slice(1)].join(".")
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
