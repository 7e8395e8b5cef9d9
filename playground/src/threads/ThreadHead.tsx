import { ActionIcon, Button, Group, Menu, Modal, Stack, Text, TextInput, Tooltip } from "@mantine/core"
import { useClipboard, useDisclosure } from "@mantine/hooks"
import { notifications } from "@mantine/notifications"
import { IconDots, IconLayoutSidebarRight, IconLink, IconPencil, IconTrash } from "@tabler/icons-react"
import { type FormEvent, useRef, useState } from "react"
import { useTranslation } from "react-i18next"
import { useNavigate } from "react-router"
import { confirmDeletion } from "../app/confirm"
import { keyboardOwner } from "../app/focus"
import { BackToList } from "../app/MasterDetail"
import { notifyFault } from "../app/notify"
import { AssistantSelect } from "./AssistantSelect"
import type { Thread } from "./objects"
import { titled, useDeleteThread, useRenameThread } from "./queries"
import classes from "./ThreadHead.module.css"
import type { AssistantChoice } from "./useAssistantChoice"

interface Props {
  thread: Thread
  name: string
  choice: AssistantChoice
  isInspected: boolean
  onInspector: () => void
}

/** A thread's name, who answers in it, and what else can be done with it. */
export function ThreadHead({ thread, name, choice, isInspected, onInspector }: Props) {
  const { t } = useTranslation("threads")
  return (
    <header className={classes.head}>
      <BackToList to="/threads" />
      <div className={classes.names}>
        <Text component="h1" fw={600} truncate className={classes.name ?? ""} title={name}>
          {name || t("list.untitled")}
        </Text>
        <AssistantSelect
          assistants={choice.assistants ?? []}
          chosen={choice.assistant?.id ?? null}
          onChoose={choice.choose}
        />
      </div>
      <Group gap={2} wrap="nowrap">
        <Tooltip label={t("head.inspector")}>
          <ActionIcon
            variant={isInspected ? "light" : "subtle"}
            color={isInspected ? undefined : "gray"}
            size="lg"
            onClick={onInspector}
            aria-label={t("head.inspector")}
            aria-pressed={isInspected}
          >
            <IconLayoutSidebarRight size={18} stroke={1.6} />
          </ActionIcon>
        </Tooltip>
        <Actions thread={thread} />
      </Group>
    </header>
  )
}

function Actions({ thread }: { thread: Thread }) {
  const { t } = useTranslation("threads")
  const navigate = useNavigate()
  const clipboard = useClipboard()
  const deleteThread = useDeleteThread()
  const [isNaming, naming] = useDisclosure()
  const giveBack = useRef(() => {})

  function openNaming() {
    giveBack.current = keyboardOwner()
    naming.open()
  }

  function copyLink() {
    clipboard.copy(`${location.origin}/threads/${thread.id}`)
    notifications.show({ message: t("head.linkCopied") })
  }

  function askToDelete() {
    confirmDeletion({
      title: t("head.deleteTitle"),
      text: t("head.deleteText"),
      onConfirm: async () => {
        await deleteThread(thread.id)
        await navigate("/threads")
      },
    })
  }

  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" size="lg" aria-label={t("head.actions")}>
            <IconDots size={18} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown aria-label={t("head.actions")}>
          <Menu.Item leftSection={<IconPencil size={16} stroke={1.6} />} onClick={openNaming}>
            {t("head.rename")}
          </Menu.Item>
          <Menu.Item leftSection={<IconLink size={16} stroke={1.6} />} onClick={copyLink}>
            {t("head.copyLink")}
          </Menu.Item>
          <Menu.Item color="red" leftSection={<IconTrash size={16} stroke={1.6} />} onClick={askToDelete}>
            {t("head.delete")}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Modal
        opened={isNaming}
        onClose={naming.close}
        onExitTransitionEnd={() => giveBack.current()}
        title={t("head.rename")}
      >
        <Naming thread={thread} onDone={naming.close} />
      </Modal>
    </>
  )
}

/** The API's limit on a value in metadata. */
const LONGEST_NAME = 512

function Naming({ thread, onDone }: { thread: Thread; onDone: () => void }) {
  const { t } = useTranslation("threads")
  const [title, setTitle] = useState(titled(thread))
  const rename = useRenameThread()

  function submit(event: FormEvent) {
    event.preventDefault()
    rename.mutate({ thread, title: title.trim() }, { onSuccess: onDone, onError: notifyFault })
  }

  return (
    <form onSubmit={submit}>
      <Stack>
        <TextInput
          label={t("head.name")}
          value={title}
          onChange={(event) => setTitle(event.currentTarget.value)}
          maxLength={LONGEST_NAME}
          data-autofocus
        />
        <Button type="submit" loading={rename.isPending}>
          {t("head.save")}
        </Button>
      </Stack>
    </form>
  )
}
