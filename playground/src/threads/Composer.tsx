import { ActionIcon, Textarea, Tooltip } from "@mantine/core"
import { IconArrowUp, IconPaperclip, IconPlayerStopFilled } from "@tabler/icons-react"
import { type ClipboardEvent, type FormEvent, useEffect, useId, useRef, useState } from "react"
import { useTranslation } from "react-i18next"
import { AttachedFiles } from "./AttachedFiles"
import classes from "./Composer.module.css"
import { isSendKey } from "./keys"
import type { NewMessage } from "./requests"
import type { Attachments } from "./useAttachments"

interface Props {
  /** The thread that is written to; any one word for those that do not exist yet. */
  thread: string
  attachments: Attachments
  /** The tools of the assistant that will answer, and where they are switched on. */
  tools: ReadonlySet<string>
  assistantPath: string
  onChooseFiles: () => void
  /** True once the message is stored; only then is it taken out of the field. */
  onSend: (message: NewMessage) => Promise<boolean>
  /** Given while an answer can be stopped. */
  onStop: (() => void) | null
  isDisabled: boolean
  isWriting: boolean
  placeholder: string
}

/** What was written and not sent yet, by thread, for whoever looks something up in another and comes back. */
const drafts = new Map<string, string>()

/** Where messages are written. */
export function Composer({
  attachments,
  tools,
  assistantPath,
  onChooseFiles,
  onSend,
  onStop,
  ...rest
}: Props) {
  const { t } = useTranslation("threads")
  const [text, setText] = useState(() => drafts.get(rest.thread) ?? "")
  const [isSending, setSending] = useState(false)
  const hint = useId()
  const field = useRef<HTMLTextAreaElement>(null)
  const { isWriting } = rest

  useEffect(() => {
    // A keyboard on the screen would cover half of the page before anything was read.
    if (isWriting && matchMedia("(hover: hover)").matches) field.current?.focus()
  }, [isWriting])

  const hasContent = text.trim() !== "" || attachments.files.some(({ use }) => use === "image")
  const canSend = hasContent && attachments.isReady && !rest.isDisabled && !onStop && !isSending

  function write(changed: string) {
    setText(changed)
    drafts.set(rest.thread, changed)
  }

  async function send(event?: FormEvent) {
    event?.preventDefault()
    if (!canSend) return
    setSending(true)
    const isStored = await onSend({ text: text.trim(), ...attachments.parts() })
    setSending(false)
    if (!isStored) return
    write("")
    attachments.clear()
  }

  function paste(event: ClipboardEvent) {
    const files = [...event.clipboardData.files]
    if (files.length === 0) return
    event.preventDefault()
    attachments.add(files)
  }

  return (
    <form className={classes.composer} onSubmit={send}>
      <AttachedFiles attachments={attachments} tools={tools} assistantPath={assistantPath} />
      <div className={classes.row}>
        <Tooltip label={t("composer.attach")}>
          <ActionIcon
            variant="subtle"
            color="gray"
            size={36}
            onClick={onChooseFiles}
            aria-label={t("composer.attach")}
          >
            <IconPaperclip size={19} stroke={1.6} />
          </ActionIcon>
        </Tooltip>
        <Textarea
          className={classes.field ?? ""}
          variant="unstyled"
          aria-label={t("composer.label")}
          aria-describedby={hint}
          placeholder={rest.placeholder}
          value={text}
          onChange={(event) => write(event.currentTarget.value)}
          onPaste={paste}
          onKeyDown={(event) => {
            if (!isSendKey(event)) return
            event.preventDefault()
            void send()
          }}
          autosize
          minRows={1}
          maxRows={10}
          ref={field}
        />
        {onStop ? (
          <Tooltip label={t("composer.stop")}>
            <ActionIcon size={36} radius="xl" onClick={onStop} aria-label={t("composer.stop")}>
              <IconPlayerStopFilled size={16} />
            </ActionIcon>
          </Tooltip>
        ) : (
          <Tooltip label={t("composer.send")}>
            <ActionIcon
              type="submit"
              size={36}
              radius="xl"
              disabled={!canSend}
              loading={isSending}
              aria-label={t("composer.send")}
            >
              <IconArrowUp size={19} />
            </ActionIcon>
          </Tooltip>
        )}
      </div>
      <span id={hint} className={classes.hint}>
        {t("composer.hint")}
      </span>
    </form>
  )
}
