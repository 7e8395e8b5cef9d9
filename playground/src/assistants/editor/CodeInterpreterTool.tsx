import { ActionIcon, Text } from "@mantine/core"
import { IconFileText, IconTerminal2, IconX } from "@tabler/icons-react"
import { useRef } from "react"
import { useTranslation } from "react-i18next"
import { useFormat } from "../../app/format"
import { DropArea } from "../../files/DropArea"
import { useFilesById, useRememberFile } from "../../files/queries"
import { StoredFileChoice } from "../../files/StoredFileChoice"
import { UploadList } from "../../files/UploadList"
import { useUploads } from "../../files/useUploads"
import classes from "../../vector-stores/StoreFiles.module.css"
import type { PartProps } from "../AssistantEditor"
import { LIMITS } from "../draft"
import { ToolCard } from "./ToolCard"

/** Python that the assistant writes and runs, and the files that it finds there. */
export function CodeInterpreterTool({ draft, change }: PartProps) {
  const { t } = useTranslation("assistants")
  const files = useFilesById()
  const { bytes } = useFormat()
  const remember = useRememberFile()
  const ids = useRef(draft.codeFileIds)
  ids.current = draft.codeFileIds
  const { uploads, add, stop, retry } = useUploads(async (file) => {
    remember(file)
    ids.current = [...ids.current, file.id]
    change({ codeFileIds: ids.current })
  })
  const isFull = draft.codeFileIds.length + uploads.length >= LIMITS.codeFiles

  return (
    <ToolCard
      icon={IconTerminal2}
      name={t("tools.codeInterpreter.name")}
      text={t("tools.codeInterpreter.text")}
      isOn={draft.codeInterpreter}
      onToggle={(codeInterpreter) => change({ codeInterpreter })}
    >
      <DropArea
        onFiles={(dropped) =>
          add(dropped.slice(0, LIMITS.codeFiles - draft.codeFileIds.length - uploads.length))
        }
        hint={
          isFull
            ? t("tools.codeInterpreter.full", { limit: LIMITS.codeFiles })
            : t("tools.codeInterpreter.drop")
        }
        disabled={isFull}
      >
        {draft.codeFileIds.length > 0 && (
          <ul className={classes.files} aria-label={t("tools.codeInterpreter.files")}>
            {draft.codeFileIds.map((id) => {
              const file = files.get(id)
              const name = file?.filename ?? id
              return (
                <li key={id} className={classes.row}>
                  <IconFileText size={18} stroke={1.5} aria-hidden style={{ flex: "none" }} />
                  <Text size="sm" truncate className={classes.name ?? ""}>
                    {name}
                  </Text>
                  {file && (
                    <Text size="xs" c="dimmed">
                      {bytes(file.bytes)}
                    </Text>
                  )}
                  <ActionIcon
                    variant="subtle"
                    color="gray"
                    onClick={() => change({ codeFileIds: draft.codeFileIds.filter((other) => other !== id) })}
                    aria-label={t("tools.codeInterpreter.remove", { name })}
                    title={t("tools.codeInterpreter.remove", { name })}
                  >
                    <IconX size={16} />
                  </ActionIcon>
                </li>
              )
            })}
          </ul>
        )}
        <UploadList uploads={uploads} onStop={stop} onRetry={retry} />
      </DropArea>
      <StoredFileChoice
        taken={draft.codeFileIds}
        onChoose={(id) => change({ codeFileIds: [...draft.codeFileIds, id] })}
        disabled={isFull}
      />
    </ToolCard>
  )
}
