import { CopyButton, Tooltip, UnstyledButton } from "@mantine/core"
import { IconCheck, IconCopy } from "@tabler/icons-react"
import { useTranslation } from "react-i18next"
import classes from "./CopyId.module.css"

/** An object's id, as programs need it: one click copies it. */
export function CopyId({ id }: { id: string }) {
  const { t } = useTranslation()
  return (
    <CopyButton value={id}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? t("actions.copied") : t("actions.copy")}>
          <UnstyledButton
            className={classes.id ?? ""}
            onClick={copy}
            aria-label={copied ? t("actions.copied") : t("actions.copyId", { id })}
          >
            <span className={classes.text}>{id}</span>
            {copied ? <IconCheck size={13} aria-hidden /> : <IconCopy size={13} aria-hidden />}
          </UnstyledButton>
        </Tooltip>
      )}
    </CopyButton>
  )
}
