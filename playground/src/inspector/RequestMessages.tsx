import { Stack, Text } from "@mantine/core"
import { useTranslation } from "react-i18next"
import { type ChatMessage, textOfChat } from "./modelRequests"
import classes from "./RequestMessages.module.css"

/** What the model read, message by message. */
export function RequestMessages({ messages }: { messages: readonly ChatMessage[] }) {
  const { t } = useTranslation("inspector")
  return (
    <Stack gap={6} component="ol" className={classes.messages ?? ""}>
      {messages.map((message, place) => (
        <li key={place} className={classes.message} data-role={message.role}>
          <Text size="xs" fw={600}>
            {message.role}
          </Text>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: whoever has no pointer scrolls it by its keys */}
          <div className={classes.text} tabIndex={0}>
            {textOfChat(message)}
            {message.tool_calls?.map((call) => (
              <div key={call.id} className={classes.call}>
                {call.function.name}({call.function.arguments})
              </div>
            ))}
          </div>
          {message.tool_call_id && (
            <Text size="xs" c="dimmed">
              {t("requests.answers", { id: message.tool_call_id })}
            </Text>
          )}
        </li>
      ))}
    </Stack>
  )
}
