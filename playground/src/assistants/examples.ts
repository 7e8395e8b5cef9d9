import type { FunctionDefinition } from "./draft"

/** Functions to begin with: one that is strict, one that is not. */
export const EXAMPLES: FunctionDefinition[] = [
  {
    name: "get_weather",
    description: "Tells the weather in a place right now.",
    strict: true,
    parameters: {
      type: "object",
      properties: {
        location: { type: "string", description: "City and country, such as Busan, South Korea" },
        unit: { type: "string", enum: ["celsius", "fahrenheit"] },
      },
      required: ["location", "unit"],
      additionalProperties: false,
    },
  },
  {
    name: "find_orders",
    description: "Finds a customer's orders, the newest first.",
    parameters: {
      type: "object",
      properties: {
        customer_id: { type: "string" },
        since: { type: "string", format: "date", description: "Only orders of this day and later" },
        limit: { type: "integer", minimum: 1, maximum: 50 },
      },
      required: ["customer_id"],
    },
  },
]
