import { ActionIcon, Button, Menu, Title } from "@mantine/core"
import { IconCopy, IconDots, IconMessagePlus, IconTrash } from "@tabler/icons-react"
import { useTranslation } from "react-i18next"
import { useNavigate } from "react-router"
import type { Saving } from "../../app/autosave"
import { CopyId } from "../../app/CopyId"
import { confirmDeletion } from "../../app/confirm"
import { BackToList } from "../../app/MasterDetail"
import { notifyFault } from "../../app/notify"
import { SaveStatus } from "../../app/SaveStatus"
import type { Assistant } from "../draft"
import { useCopyAssistant, useDeleteAssistant } from "../queries"
import classes from "./EditorHeader.module.css"

interface Props {
  assistant: Assistant
  name: string
  saving: Saving
  onRetry: () => void
  onTry: () => void
  /** A copy is made on the server, so what is on the screen has to be there first. */
  beforeCopy: () => Promise<void>
}

export function EditorHeader({ assistant, name, saving, onRetry, onTry, beforeCopy }: Props) {
  const { t } = useTranslation("assistants")
  return (
    <header className={classes.header}>
      <BackToList to="/assistants" />
      <div className={classes.names}>
        <Title order={1} size="h4" lineClamp={1}>
          {name || t("untitled")}
        </Title>
        <CopyId id={assistant.id} />
      </div>
      <div className={classes.saving}>
        <SaveStatus saving={saving} onRetry={onRetry} />
      </div>
      <div className={classes.actions}>
        <Button size="sm" leftSection={<IconMessagePlus size={17} aria-hidden />} onClick={onTry}>
          {t("try")}
        </Button>
        <MoreActions assistant={assistant} name={name} beforeCopy={beforeCopy} />
      </div>
    </header>
  )
}

function MoreActions({ assistant, name, beforeCopy }: Pick<Props, "assistant" | "name" | "beforeCopy">) {
  const { t } = useTranslation("assistants")
  const navigate = useNavigate()
  const copying = useCopyAssistant()
  const deletion = useDeleteAssistant()
  const shown = name || t("untitled")

  async function copy() {
    try {
      await beforeCopy()
      const made = await copying.mutateAsync({
        id: assistant.id,
        name: t("copy.name", { name: shown }).slice(0, 256),
      })
      await navigate(`/assistants/${made.id}`)
    } catch (error) {
      notifyFault(error)
    }
  }

  function askToDelete() {
    confirmDeletion({
      title: t("delete.title", { name: shown }),
      text: t("delete.text"),
      onConfirm: async () => {
        await deletion.mutateAsync(assistant.id)
        await navigate("/assistants")
      },
    })
  }

  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <ActionIcon variant="default" size={36} aria-label={t("more")} loading={copying.isPending}>
          <IconDots size={18} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown aria-label={t("more")}>
        <Menu.Item leftSection={<IconCopy size={16} aria-hidden />} onClick={() => void copy()}>
          {t("copy.action")}
        </Menu.Item>
        <Menu.Item color="red" leftSection={<IconTrash size={16} aria-hidden />} onClick={askToDelete}>
          {t("delete.action")}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
