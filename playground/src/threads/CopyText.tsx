import { ActionIcon, CopyButton, Tooltip } from "@mantine/core"
import { IconCheck, IconCopy } from "@tabler/icons-react"
import { useTranslation } from "react-i18next"

/** Copies what was said. */
export function CopyText({ text }: { text: string }) {
  const { t } = useTranslation("threads")
  return (
    <CopyButton value={text}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? t("conversation.copied") : t("conversation.copy")}>
          <ActionIcon variant="subtle" color="gray" onClick={copy} aria-label={t("conversation.copy")}>
            {copied ? <IconCheck size={16} /> : <IconCopy size={16} stroke={1.6} />}
          </ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
  )
}
