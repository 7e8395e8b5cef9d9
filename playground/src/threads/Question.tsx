import { ActionIcon, Anchor, Button, Group, Stack, Text, Textarea, Tooltip } from "@mantine/core"
import { IconPencil } from "@tabler/icons-react"
import { type FormEvent, useState } from "react"
import { useTranslation } from "react-i18next"
import { CopyText } from "./CopyText"
import { textOf } from "./entries"
import { FileName, Picture } from "./FileViews"
import { isSendKey } from "./keys"
import type { Message } from "./objects"
import classes from "./Question.module.css"
import type { NewMessage } from "./requests"

interface Props {
  message: Message
  /** Null while the thread is busy. */
  onResend: ((changed: NewMessage) => void) | null
}

/** A message to the assistant. */
export function Question({ message, onResend }: Props) {
  const { t } = useTranslation("threads")
  const [isEdited, setEdited] = useState(false)
  const text = textOf(message)
  return (
    <article className={classes.question} aria-label={t("conversation.you")}>
      {isEdited && onResend ? (
        <Edit
          text={text}
          onCancel={() => setEdited(false)}
          onSend={(changed) => {
            setEdited(false)
            onResend({ ...partsOf(message), text: changed })
          }}
        />
      ) : (
        <>
          <Given message={message} />
          <div className={classes.line}>
            <Actions text={text} onEdit={onResend ? () => setEdited(true) : null} />
            {text && <Text className={classes.bubble ?? ""}>{text}</Text>}
          </div>
        </>
      )}
    </article>
  )
}

function Actions({ text, onEdit }: { text: string; onEdit: (() => void) | null }) {
  const { t } = useTranslation("threads")
  return (
    <Group gap={2} wrap="nowrap" className={classes.actions ?? ""}>
      <CopyText text={text} />
      {onEdit && (
        <Tooltip label={t("conversation.edit")}>
          <ActionIcon variant="subtle" color="gray" onClick={onEdit} aria-label={t("conversation.edit")}>
            <IconPencil size={16} stroke={1.6} />
          </ActionIcon>
        </Tooltip>
      )}
    </Group>
  )
}

/** The pictures and files of a message. */
function Given({ message }: { message: Message }) {
  const { t } = useTranslation("threads")
  const { images, attachments } = partsOf(message)
  const addresses = message.content.flatMap((part) => (part.type === "image_url" ? [part.image_url.url] : []))
  if (images.length + attachments.length + addresses.length === 0) return null
  return (
    <Group gap="xs" justify="flex-end">
      {images.map((image) => (
        <Picture key={image} fileId={image} isSmall />
      ))}
      {/* Whoever wrote it wanted the model to see it; to show it here would tell its server who reads this. */}
      {addresses.map((address) => (
        <Anchor key={address} href={address} target="_blank" rel="noopener noreferrer nofollow" size="sm">
          {address}
        </Anchor>
      ))}
      {attachments.map(({ file_id, tools }) => (
        <FileName
          key={file_id}
          fileId={file_id ?? ""}
          use={(tools ?? []).map(({ type }) => t(`attachment.${type}`)).join(", ")}
        />
      ))}
    </Group>
  )
}

function Edit({
  text,
  onCancel,
  onSend,
}: {
  text: string
  onCancel: () => void
  onSend: (text: string) => void
}) {
  const { t } = useTranslation(["threads", "app"])
  const [changed, setChanged] = useState(text)

  function submit(event?: FormEvent) {
    event?.preventDefault()
    if (changed.trim()) onSend(changed)
  }

  return (
    <form onSubmit={submit} className={classes.edit}>
      <Stack gap="xs">
        <Textarea
          label={t("conversation.editLabel")}
          description={t("conversation.editHint")}
          value={changed}
          onChange={(event) => setChanged(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (isSendKey(event)) {
              event.preventDefault()
              submit()
            }
            if (event.key === "Escape") onCancel()
          }}
          autosize
          minRows={2}
          maxRows={14}
          autoFocus
        />
        <Group gap="xs" justify="flex-end">
          <Button size="xs" variant="default" onClick={onCancel}>
            {t("app:actions.cancel")}
          </Button>
          <Button size="xs" type="submit" disabled={!changed.trim()}>
            {t("conversation.send")}
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

function partsOf({ content, attachments }: Message): Omit<NewMessage, "text"> {
  return {
    images: content.flatMap((part) => (part.type === "image_file" ? [part.image_file.file_id] : [])),
    attachments: attachments ?? [],
  }
}
