import { Text } from "@mantine/core"
import type { ReactNode } from "react"
import { useDropzone } from "react-dropzone"
import { useTranslation } from "react-i18next"
import { Composer } from "./Composer"
import classes from "./Frame.module.css"
import type { NewMessage } from "./requests"
import type { AssistantChoice } from "./useAssistantChoice"
import { useAttachments } from "./useAttachments"

interface Props {
  thread: string
  head: ReactNode
  children: ReactNode
  choice: AssistantChoice
  onSend: (message: NewMessage) => Promise<boolean>
  onStop: (() => void) | null
  /** Whether something is being asked of the server already. */
  isWaiting: boolean
  /** Whether whoever comes here means to write. */
  isWriting: boolean
  placeholder: string
}

/** A conversation's frame: its head, its body, and where messages are written. Files may be dropped anywhere on it. */
export function Frame({
  thread,
  head,
  children,
  choice,
  onSend,
  onStop,
  isWaiting,
  isWriting,
  placeholder,
}: Props) {
  const { t } = useTranslation("threads")
  const attachments = useAttachments(choice.tools)
  const { getRootProps, getInputProps, open, isDragActive } = useDropzone({
    onDrop: attachments.add,
    noClick: true,
    noKeyboard: true,
  })
  return (
    <section {...getRootProps({ role: undefined, tabIndex: -1 })} id="conversation" className={classes.frame}>
      {/* The composer's button opens it; it would be a second one of the same name. */}
      <input {...getInputProps({ "aria-hidden": true })} />
      {head}
      {children}
      <div className={classes.foot}>
        <Composer
          thread={thread}
          attachments={attachments}
          tools={choice.tools}
          assistantPath={`/assistants/${choice.assistant?.id ?? ""}`}
          onChooseFiles={open}
          onSend={onSend}
          onStop={onStop}
          isDisabled={choice.assistant === null || isWaiting}
          isWriting={isWriting}
          placeholder={placeholder}
        />
      </div>
      {isDragActive && (
        <div className={classes.drop} aria-hidden>
          <Text fw={600}>{t("composer.drop")}</Text>
        </div>
      )}
    </section>
  )
}
