import {
  ActionIcon,
  Anchor,
  CloseButton,
  Group,
  Loader,
  Menu,
  Stack,
  Text,
  UnstyledButton,
} from "@mantine/core"
import {
  IconChevronDown,
  IconFileSearch,
  IconPhoto,
  IconRefresh,
  IconTerminal2,
  type IconFile as IconType,
} from "@tabler/icons-react"
import { useTranslation } from "react-i18next"
import { Link } from "react-router"
import { faultOf } from "../api/errors"
import { SmallFault } from "../app/FaultWords"
import classes from "./AttachedFiles.module.css"
import { type Use, usesOf } from "./attachments"
import type { Attachments, Draft } from "./useAttachments"

const ICONS: Record<Use, typeof IconType> = {
  image: IconPhoto,
  file_search: IconFileSearch,
  code_interpreter: IconTerminal2,
}

interface Props {
  attachments: Attachments
  tools: ReadonlySet<string>
  assistantPath: string
}

/** The files that go with the message being written: how far they are, and what for. */
export function AttachedFiles({ attachments, tools, assistantPath }: Props) {
  const { t } = useTranslation("threads")
  if (attachments.files.length === 0) return null
  const unseen = attachments.files.find(({ use }) => use !== "image" && !tools.has(use))
  return (
    <Stack gap={6} px={4} pt={4}>
      <Group gap={6} component="ul" aria-label={t("attachment.label")} className={classes.files ?? ""}>
        {attachments.files.map((draft) => (
          <li key={draft.id} className={classes.file}>
            <AttachedFile draft={draft} attachments={attachments} />
          </li>
        ))}
      </Group>
      {unseen && unseen.use !== "image" && (
        <Text size="xs" c="dimmed" role="status">
          {t(`attachment.missingTool.${unseen.use}`, { name: unseen.file.name })}{" "}
          <Anchor component={Link} to={assistantPath} size="xs" underline="always">
            {t("attachment.switchOn")}
          </Anchor>
        </Text>
      )}
    </Stack>
  )
}

function AttachedFile({ draft, attachments }: { draft: Draft; attachments: Attachments }) {
  const { t } = useTranslation("threads")
  const { file, use, stored, error } = draft
  const { name } = file
  const Picture = ICONS[use]
  const fault = error ? faultOf(error) : null
  return (
    <>
      {stored || fault ? (
        <Picture size={16} aria-hidden />
      ) : (
        <Loader size={14} aria-label={t("attachment.sending")} />
      )}
      <span className={classes.words}>
        <Text size="xs" fw={550} truncate>
          {name}
        </Text>
        {fault ? (
          <SmallFault role="alert" fault={fault} within={(why) => t("attachment.failed", { why })} />
        ) : (
          <UseMenu draft={draft} onChange={(chosen) => attachments.change(draft, chosen)} />
        )}
      </span>
      {fault && (
        <ActionIcon
          variant="subtle"
          color="gray"
          size="sm"
          onClick={() => attachments.retry(draft)}
          aria-label={t("attachment.retry", { name })}
        >
          <IconRefresh size={14} />
        </ActionIcon>
      )}
      <CloseButton
        size="sm"
        onClick={() => attachments.remove(draft.id)}
        aria-label={t("attachment.remove", { name })}
      />
    </>
  )
}

function UseMenu({ draft, onChange }: { draft: Draft; onChange: (use: Use) => void }) {
  const { t } = useTranslation("threads")
  const label = t("attachment.use", { name: draft.file.name })
  return (
    <Menu position="top-start">
      <Menu.Target>
        <UnstyledButton
          className={classes.use ?? ""}
          aria-label={`${label}: ${t(`attachment.${draft.use}`)}`}
        >
          {t(`attachment.${draft.use}`)}
          <IconChevronDown size={12} aria-hidden />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown aria-label={label}>
        {usesOf(draft.file).map((use) => {
          const Picture = ICONS[use]
          return (
            <Menu.Item key={use} leftSection={<Picture size={16} />} onClick={() => onChange(use)}>
              {t(`attachment.uses.${use}`)}
            </Menu.Item>
          )
        })}
      </Menu.Dropdown>
    </Menu>
  )
}
